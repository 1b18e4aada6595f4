"""How well CLIP finds that samples fit their captions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from genbench.core import ConfigError
from genbench.features import hub
from genbench.metrics.base import SAMPLES, Evidence, Metric, Score, Scores
from genbench.metrics.resampling import from_influence

WHAT = "metric.clip_score"
BLOCK = 64


class ClipScore(Metric):
    """`clip_score`: 100 times the cosine of CLIP's embeddings of a sample and its caption, the mean, at least 0.

    Hessel et al. 2021, scaled as torchmetrics does: their w is 2.5. `weights` is a folder in Hugging
    Face's layout, tokenizer and image processor with it, or a name in Hugging Face's cache, which `download` fills;
    `sha256` is that of model.safetensors (at least 8 hex digits), checked before it is parsed. Captions longer than
    CLIP takes are cut. None for samples that were not asked for captions.

    Raises:
        ConfigError: transformers or weights that are absent, or weights of another sum or network.
    """

    title = "CLIPScore"
    needs_images = True
    needs_captions = True

    def __init__(self, weights: Path | str | None = None, sha256: str | None = None, download: bool = False) -> None:
        if weights is None:
            raise ConfigError(
                f"clip_score needs CLIP's weights: give {WHAT}.weights a folder in Hugging Face's layout, such as one "
                "of openai/clip-vit-large-patch14, or leave the metric out"
            )
        library = hub.transformers(WHAT)
        folder = hub.find(WHAT, weights, download)
        facts, state, self.fingerprint = hub.read(WHAT, folder, sha256)
        if facts.get("model_type") != "clip":
            raise ConfigError(f"{WHAT}: {folder} holds a {facts.get('model_type')}: give a folder of a CLIP")
        self.network: Any = hub.build(WHAT, library.CLIPModel, library.CLIPConfig(**facts), state).eval()
        try:
            self.processor: Any = library.AutoProcessor.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"{WHAT}: {folder} has no tokenizer or image processor ({str(error).splitlines()[0]}): fetch the whole "
                "folder"
            ) from error

    def least(self, dims: int) -> Mapping[str, int]:
        return {SAMPLES: 2}

    @torch.no_grad()
    def __call__(self, evidence: Evidence) -> Scores:
        image, caption = evidence.samples.image, evidence.samples.caption
        if image is None or caption is None:
            return {"clip_score": Score(None)}
        parts = range(0, len(image), BLOCK)
        each = torch.cat([self._scores(image[i : i + BLOCK], caption[i : i + BLOCK]) for i in parts])
        return {"clip_score": Score(max(0.0, float(each.double().mean())), from_influence(each))}

    def _scores(self, image: Tensor, caption: list[str]) -> Tensor:
        # torchmetrics' own function fails on what transformers 5 gives it
        inputs = self.processor(
            text=caption, images=list(image.expand(-1, 3, -1, -1)), return_tensors="pt", padding=True, truncation=True,
            max_length=self.network.config.text_config.max_position_embeddings,
        )  # fmt: skip
        found = self.network(**inputs)
        scores: Tensor = 100.0 * F.cosine_similarity(found.image_embeds, found.text_embeds)
        return scores
