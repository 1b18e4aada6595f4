"""The report: one page that needs nothing but itself, and one picture."""

from genbench.benchmark.report.overview import write_overview_png
from genbench.benchmark.report.page import ModelPage
from genbench.benchmark.report.writer import write_report

__all__ = ["ModelPage", "write_overview_png", "write_report"]
