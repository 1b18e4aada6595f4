"""`genbench sample`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from genbench.app.build import load_model, resolve
from genbench.app.device import pick_device
from genbench.app.sampling import draw, save, write_sheet
from genbench.app.validate import validate_config
from genbench.run import Run


def run(config: DictConfig) -> None:
    """Draws images from a run into an npz (`arr_0` uint8 NHWC, `arr_1` labels) and a PNG sheet."""
    plain = resolve(config)
    validate_config(plain, "sample")
    source = Run.open(plain["run"])
    model = load_model(source, plain["sampler"], plain["weights"]).to(pick_device(plain["device"]))
    images, label = draw(model, plain["n"], plain["seed"], plain["labels"], plain["batch_size"])
    stem = str(plain["out"] or source.samples / name(plain)).removesuffix(".npz").removesuffix(".png")
    archive, sheet = Path(f"{stem}.npz"), Path(f"{stem}.png")
    save(archive, images, label)
    write_sheet(sheet, images)
    print(f"{plain['n']} images: {archive} and {sheet}")


def name(config: dict[str, Any]) -> str:
    """A file name that says what decides the images beside the run itself."""
    parts = [f"n{config['n']}", f"seed{config['seed']}"]
    if config["labels"] is not None:
        parts.append("labels" + "-".join(map(str, config["labels"])))
    if config["weights"] != "ema":
        parts.append(f"weights{config['weights']}")
    if config["sampler"] is not None:
        target = config["sampler"]["_target_"].rsplit(".", 1)[-1].lower()
        parts += [target, *(f"{key}{value}" for key, value in config["sampler"].items() if key != "_target_")]
    return "_".join(parts)
