"""`genbench sample`."""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from genbench.app.build import load_model, resolve
from genbench.app.device import pick_device
from genbench.app.prompts import asked
from genbench.app.sampling import draw, save, write_sheet
from genbench.app.signatures import locate
from genbench.app.validate import validate_config
from genbench.core import ConfigError
from genbench.run import Run


def run(config: DictConfig) -> None:
    """Draws images from a run into an npz (`arr_0` uint8 NHWC, `arr_1` labels, `captions`) and a PNG sheet."""
    plain = resolve(config)
    validate_config(plain, "sample")
    source = Run.open(plain["run"])
    model = load_model(source, plain["sampler"], plain["weights"]).to(pick_device(plain["device"]))
    prompts = asked(model, plain["prompt"], plain["prompts"])
    if prompts is not None and plain["n"] < len(prompts):
        raise ConfigError(f"n={plain['n']} leaves out prompts, of which there are {len(prompts)}: use n={len(prompts)}")
    drawn = draw(model, plain["n"], plain["seed"], plain["labels"], plain["batch_size"], prompts)
    stem = str(plain["out"] or source.samples / name(plain, prompts)).removesuffix(".npz").removesuffix(".png")
    archive, sheet = Path(f"{stem}.npz"), Path(f"{stem}.png")
    save(archive, *drawn)
    write_sheet(sheet, drawn.image)
    print(f"{plain['n']} images: {archive} and {sheet}")


def name(config: dict[str, Any], prompts: Sequence[str] | None = None) -> str:
    """A file name that says what decides the images beside the run itself."""
    parts = [f"n{config['n']}", f"seed{config['seed']}"]
    if config["labels"] is not None:
        parts.append("labels" + "-".join(map(str, config["labels"])))
    if prompts is not None:
        parts.append("prompt" + _short("\n".join(prompts)))
    if config["weights"] != "ema":
        parts.append(f"weights{config['weights']}")
    if config["sampler"] is not None:
        parts += _sampler(config["sampler"])
    return "_".join(parts)


def _sampler(node: dict[str, Any]) -> list[str]:
    """The sampler's class, and what is not as its constructor has it."""
    target = node["_target_"]
    usual = inspect.signature(locate(target)).parameters
    own = {key: value for key, value in node.items() if key != "_target_" and usual[key].default != value}
    return [target.rsplit(".", 1)[-1].lower(), *(f"{key}{_short(value)}" for key, value in own.items())]


def _short(value: Any) -> str:
    """A value as part of a file's name; paths, sentences and the like by their sha256."""
    text = str(value)
    return text if re.fullmatch(r"[\w.-]+", text) else hashlib.sha256(text.encode()).hexdigest()[:8]
