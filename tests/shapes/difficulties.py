"""The difficulties that data=shapes, shapes_32 and shapes_64 offer, as conf/ says them."""

from functools import cache
from pathlib import Path

from hydra.utils import instantiate
from omegaconf import OmegaConf

from genbench.shapes import Difficulty

CONF = Path(__file__).resolve().parents[2] / "conf" / "data"
NAMES = ("shapes", "shapes_32", "shapes_64")


@cache
def difficulty(name: str) -> Difficulty:
    return instantiate(OmegaConf.load(CONF / f"{name}.yaml").difficulty, _convert_="all")
