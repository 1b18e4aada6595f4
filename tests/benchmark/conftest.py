"""Cells and rows as the benchmark makes them, with numbers that can be checked by hand."""

from typing import Any

import pytest


@pytest.fixture(scope="session")
def cell():
    """Makes one judged run; `fds` are its sampling repeats, `scores` more of (value, standard error) or values."""

    def make(
        model="ddpm", family="diffusion", seed: int | None = 1, fds=(4.0,), error=None, scores=None, **over: Any
    ) -> dict[str, Any]:
        pairs = {key: value if isinstance(value, tuple) else (value, None) for key, value in (scores or {}).items()}
        more = {name: number for key, (v, e) in pairs.items() for name, number in ((key, v), (f"{key}_error", e))}
        result = {
            "fd": sum(fds) / len(fds),
            "is": 9.0,
            "accuracy": 0.9,
            "fd_error": error,
            **more,
            "features": "digits",
            "protocol": "aaaa",
            "protocol_fields": {"samples": 1000, "reference": {"split": "test"}},
            "samples": 1000,
            "repeats": [{"seed": i, "fd": fd, "is": 9.0 + i, "accuracy": 0.9, **more} for i, fd in enumerate(fds)],
            "sample_seconds_per_1k": 4.0,
            "nfe": 50,
            "bits_per_dim": 1.5,
            "likelihood": "vlb",
            "sampler": None,
            "weights": "ema",
            "flags": [],
        }
        trained = {
            "family": family,
            "model": model,
            "data": "digits",
            "seed": seed,
            "images": 1000,
            "params": 500,
            "train_seconds": 10.0,
            "images_per_second": 100.0,
            "run": f"runs/{model}-{seed}",
        }
        changed = {key: over.pop(key) for key in list(over) if key in result}
        return {**trained, **over, "result": {**result, **changed}}

    return make


@pytest.fixture(scope="session")
def control(cell):
    """Makes a control cell, which was never trained."""

    def make(model: str, fd: float, **over: Any) -> dict[str, Any]:
        never = dict.fromkeys(
            ("images", "params", "train_seconds", "images_per_second", "run", "nfe", "sample_seconds_per_1k")
        )
        unscored = {"bits_per_dim": None, "likelihood": None}
        return cell(model, "control", None, (fd,), **{**never, **unscored, **over})

    return make


@pytest.fixture(scope="session")
def failure():
    """A cell whose training came to nothing."""
    return {
        "family": "gan",
        "model": "dcgan",
        "data": "digits",
        "seed": 1,
        "images": 1000,
        "run": "runs/dcgan-1",
        "error": "discriminator_loss is nan at 512 images seen\nsecond line",
    }
