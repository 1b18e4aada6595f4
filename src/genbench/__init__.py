"""genbench: which family of image generator wins on this data, with this budget, and at what cost."""

__version__ = "0.1.0"
