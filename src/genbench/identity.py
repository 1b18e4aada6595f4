"""What decides the weights that a training ends in: two that share it are the same experiment."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

# what may differ between two trainings that end in the same weights
NOT_IDENTITY = (
    *("name", "run_dir", "logger", "group", "tags", "protocol", "metric", "features", "likelihood", "judge", "trial"),
    "start_sha256",  # stands for `start`
)
NOT_IDENTITY_OF_TRAINING = (
    *("workers", "log_every", "checkpoint_every", "keep_every", "preview_every", "ema_snapshot_every", "watchdog"),
    "activation_checkpointing",  # gradients are bit-equal
    "nonfinite",  # unless it skips: a training that is not stopped is one that had nothing to stop for
)
NOT_IDENTITY_OF_DATA = (
    "cache_limit",  # how much of a disk shards may take
    *("root", "path", "train", "test"),  # where images lie: which they are, their fingerprint tells
)
# a batch is the same on however many devices
NOT_IDENTITY_OF_TRAINER = ("devices", "num_nodes", "strategy")


def identity(config: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a resolved config that decides the weights, beside the images.

    Images and other trainings count by content, wherever they lie.
    """
    kept = {key: _deciding(key, value) for key, value in config.items() if key not in NOT_IDENTITY}
    if config.get("start_sha256") is not None:
        kept["start"] = config["start_sha256"]
    if isinstance(config.get("trainer"), Mapping):
        kept["trainer"] = {k: v for k, v in config["trainer"].items() if k not in NOT_IDENTITY_OF_TRAINER}
    if isinstance(config.get("data"), Mapping):
        kept["data"] = {k: v for k, v in config["data"].items() if k not in NOT_IDENTITY_OF_DATA}
    if isinstance(config.get("model"), Mapping):
        kept["model"] = {key: _deciding(key, value) for key, value in config["model"].items() if key != "likelihood"}
    budget = config.get("budget") or {}
    if budget.get("seconds") is not None:
        kept["budget"] = {k: v for k, v in budget.items() if k != "images"}  # which are measured, not chosen
    training = config.get("training") or {}
    kept["training"] = {k: v for k, v in training.items() if k not in (*NOT_IDENTITY_OF_TRAINING, "select")}
    if training.get("nonfinite") == "skip":
        kept["training"]["nonfinite"] = "skip"
    if training.get("select") is not None:
        # then the weights that are kept depend on which are looked at, and on what they are compared with
        kept["training"] |= {key: training[key] for key in ("select", "preview_every")}
        kept["features"] = config.get("features")
        kept["protocol"] = {"reference": (config.get("protocol") or {}).get("reference")}
    return kept


def by_content(node: Any) -> Any:
    """A node without the path of what its sha256 tells: what lies elsewhere today is still the same."""
    if not isinstance(node, Mapping) or node.get("sha256") is None:
        return node
    return {key: value for key, value in node.items() if key not in ("run", "folder", "model", "download")}


def alike(key: str, one: Any, other: Any) -> bool:
    """Whether two parts of models compute the same, but for the rounding of what was measured on different devices."""
    scales = [float((node or {}).get("scale") or 0.0) if key == "first_stage" else 0.0 for node in (one, other)]
    return math.isclose(*scales, rel_tol=1e-3) and bool(_deciding(key, one) == _deciding(key, other))


def _deciding(key: str, value: Any) -> Any:
    node = by_content(value)
    if key == "first_stage" and node is not value:
        # measured at every start, and equal up to rounding only where another device encodes
        return {name: part for name, part in node.items() if name not in ("latent", "scale")}
    return node


def recipe_hash(config: Mapping[str, Any], images: str | None) -> str:
    """Eight hex digits of everything that decides the weights except the seed; `images` is their fingerprint."""
    recipe = {key: value for key, value in identity(config).items() if key != "seed"} | {"images": images}
    return hashlib.sha256(json.dumps(recipe, sort_keys=True, default=str).encode()).hexdigest()[:8]
