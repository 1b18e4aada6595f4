"""From the states of a caption's tokens to what steers a network."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genbench.conditioning.text.base import TextEncoder
from genbench.core import Conditioning, ConfigError, ImageSpec, Noise


def require_captions(spec: ImageSpec, data: str) -> None:
    """That there is something for a text encoder to read.

    Raises:
        ConfigError: the images have no captions.
    """
    if not spec.captions:
        raise ConfigError(
            f"a text encoder needs captions, but {data} has none: use data=shapes, an npz with an array `captions`, "
            "data=image_folder or huggingface with data.caption_column, or text_encoder=none"
        )


class TextConditioner(nn.Module):
    """Normalises the states of a caption's tokens; their mean joins the vector, the tokens themselves are attended to.

    `context` is the width of the tokens that the network attends to, None for a network that sees the mean alone.
    `nullable` adds a learned token that stands for "no caption", and for an empty one; it means something only where
    captions are dropped in training.
    """

    def __init__(self, encoder: TextEncoder, embedding: int, context: int | None, nullable: bool) -> None:
        super().__init__()
        self.encoder = encoder  # among our weights only if it is a module, trained along
        self.pool = nn.Linear(encoder.width, embedding)
        self.project = None if context is None else nn.Linear(encoder.width, context)
        self.null = nn.Parameter(torch.randn(encoder.width)) if nullable else None

    def forward(self, caption: Sequence[str] | None, vector: Tensor) -> Conditioning:
        """What captions, one for each row of `vector` [B,E] or none at all, add to it.

        Raises:
            ConfigError: a caption that is missing or empty, for a model that was always given one.
        """
        states, mask = self.states([""] * len(vector) if caption is None else caption, vector)
        present = mask[..., None].to(states.dtype)
        mean = (states * present).sum(1) / present.sum(1)
        vector = vector + self.pool(mean)
        return Conditioning(vector) if self.project is None else Conditioning(vector, self.project(states), mask)

    def states(self, caption: Sequence[str], like: Tensor) -> tuple[Tensor, Tensor]:
        """Normalised states [B,T,W] and their mask [B,T]; those of a caption that says nothing are the null token."""
        given = [i for i, text in enumerate(caption) if self.encoder.understands(text)]
        if self.null is None and len(given) < len(caption):
            raise ConfigError(
                "this model was trained on captions, never without, and one is missing, empty or without a known word: "
                "give every image a prompt, or train with model.label_dropout=0.1"
            )
        null = like.new_zeros(self.encoder.width) if self.null is None else self.null
        if isinstance(self.encoder, nn.Module):
            # of several devices one may have nothing to read: all send the same gradients, its are zero
            null = null + 0.0 * sum(parameter.sum() for parameter in self.encoder.parameters())
        if not given:
            return null.expand(len(caption), 1, -1), torch.ones(len(caption), 1, dtype=torch.bool, device=like.device)
        found = self.encoder.read([caption[i] for i in given], like.device)
        rows, length = torch.tensor(given, device=like.device), found.mask.shape[1]
        normed = F.layer_norm(found.states.to(null.dtype), (self.encoder.width,)).to(null.dtype)
        first = torch.arange(length, device=like.device) == 0
        mask = first.expand(len(caption), -1).index_copy(0, rows, found.mask)
        return null.expand(len(caption), length, -1).index_copy(0, rows, normed), mask


def drop_captions(caption: Sequence[str] | None, noise: Noise, probability: float) -> list[str] | None:
    """Captions with each emptied with the given probability (Ho & Salimans 2022, alg. 1)."""
    if caption is None:
        return None
    kept = (noise.uniform() >= probability).tolist() if probability > 0.0 else [True] * len(caption)
    return [text if keep else "" for text, keep in zip(caption, kept, strict=True)]
