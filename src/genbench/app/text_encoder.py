"""What a text encoder is found to be when a training starts, and the captions that it has read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import torch
from omegaconf import DictConfig
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor
from tqdm import tqdm

from genbench.app.build import build, resolve
from genbench.app.device import pick_device
from genbench.app.paths import cache_dir
from genbench.conditioning.text.conditioner import require_captions
from genbench.conditioning.text.frozen import FrozenTextEncoder, compact
from genbench.conditioning.text.vocabulary import vocabulary_of
from genbench.core import GenerativeModel
from genbench.core.files import write_atomically
from genbench.data.dataset import ImageDataset
from genbench.families.diffusion import Diffusion

CHUNK = 250


def settle_text_encoder(config: DictConfig, dataset: ImageDataset) -> None:
    """Fills in what a text encoder is found to be: its weights' sha256, or the words of the training captions.

    Raises:
        ConfigError: data without captions, or an encoder that is not there.
    """
    node = config.text_encoder
    if node is None:
        return
    require_captions(dataset.spec, dataset.name)
    if "vocabulary" in node and node.vocabulary is None:
        node.vocabulary = vocabulary_of(taught(dataset))
    if "model" in node and Path(node.model).expanduser().is_dir():
        node.model = str(Path(node.model).expanduser().absolute())
    if "sha256" in node and node.sha256 is None:
        node.sha256 = build(resolve(config)["text_encoder"]).sha256


def taught(dataset: ImageDataset) -> list[str]:
    """The different training captions, in the order of their first image."""
    return list(dict.fromkeys(dataset.table("train").caption or ()))


def remember_captions(model: GenerativeModel, dataset: ImageDataset) -> None:
    """Gives a model's frozen text encoder what the training captions read as, from the cache where it is there."""
    if isinstance(model, Diffusion) and model.text is not None and isinstance(model.text.encoder, FrozenTextEncoder):
        encoder = model.text.encoder
        asked = [text for text in taught(dataset) if text.strip()]
        # of captions that hardly repeat, each is read when it comes
        if asked and len(asked) * encoder.length * encoder.width * 2 <= encoder.memory:
            encoder.remember(read_once(encoder, asked))


def read_once(encoder: FrozenTextEncoder, asked: Sequence[str]) -> dict[str, Tensor]:
    """The states bfloat16 [T,W] of captions; a set of captions is read once, and then found in the cache."""
    order = sorted(asked)
    key = json.dumps([encoder.identity, order], sort_keys=True)
    path = cache_dir() / "captions" / f"{hashlib.sha256(key.encode()).hexdigest()}.safetensors"
    try:
        found = load_file(path)
        states, lengths = found["states"], found["lengths"].tolist()
    except (OSError, SafetensorError, KeyError):
        device = pick_device("auto")
        parts: list[Tensor] = []
        with tqdm(total=len(order), desc="reading captions", leave=False) as bar:
            for start in range(0, len(order), CHUNK):
                part = order[start : start + CHUNK]
                parts += [compact(state) for state in encoder.encode(part, device)]
                bar.update(len(part))
        lengths = [len(part) for part in parts]
        states = torch.cat(parts)
        write_atomically(path, save({"states": states, "lengths": torch.tensor(lengths)}))
    # copies, because one view would keep all of them in memory
    return {text: part.clone() for text, part in zip(order, torch.split(states, lengths), strict=True)}
