"""Do images look like their captions to CLIP?"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from genbench.core import ConfigError
from genbench.features import hub
from genbench.metrics.base import Evidence, Metric, Score, Scores
from genbench.metrics.resampling import from_influence

OWNER = hub.Owner("metric clip_score", "metric.clip_score")
PROCESSOR = (("preprocessor_config.json", "processor_config.json"), ("tokenizer.json", "vocab.json"))
"""One file of each of these tells how images and captions are read."""
BATCH = 64


class ClipScore(Metric):
    """`clip_score`: 100 times the mean cosine of CLIP's embeddings of samples and captions, in [0,100].

    The numerics are torchmetrics' (Hessel et al. 2021, without their factor of 2.5): negative cosines count, a negative
    mean is 0. Captions longer than CLIP reads, 77 tokens, are cut there with one warning, and keep their end token as
    in OpenAI's code; torchmetrics cuts it off, whereupon all of them have the embedding of an empty one. `weights` is a
    folder with config.json, model.safetensors and the processor's files, or the name of a repository in Hugging Face's
    cache, which `download` fills; `sha256` that of model.safetensors (at least 8 hex digits), checked before it is
    parsed. None where samples have no captions or their pixels were not kept.

    Raises:
        ConfigError: transformers or weights that are absent, or weights of another sum or network.
    """

    keys = ("clip_score",)
    title = "CLIPScore"
    needs_images = True
    needs_captions = True

    def __init__(self, weights: Path | str | None = None, sha256: str | None = None, download: bool = False) -> None:
        if weights is None:
            raise ConfigError(
                "clip_score needs a CLIP: give metric.clip_score.weights a folder in Hugging Face's layout, or a name "
                "in its cache such as openai/clip-vit-large-patch14, or leave the metric out"
            )
        library = hub.transformers(OWNER)
        folder = hub.find(OWNER, weights, download, ("*.json", "merges.txt"))
        facts, state, self.fingerprint = hub.read(OWNER, folder, sha256)
        hub.require_type(OWNER, facts, ["clip"])
        config = library.CLIPConfig(**facts)
        self.processor = _Processor(_processor(library, folder), config.text_config.max_position_embeddings)
        self.network = _Embeddings(hub.build(OWNER, library.CLIPModel, config, state))

    @torch.no_grad()
    def __call__(self, evidence: Evidence) -> Scores:
        image, caption = evidence.samples.image, evidence.samples.caption
        if image is None or caption is None:
            return {"clip_score": Score(None)}
        # imported here: it takes seconds, which only this metric is worth
        from torchmetrics.functional.multimodal.clip_score import _clip_score_update

        self.processor.warn_if_cut(caption)
        pair: tuple[Any, Any] = self.network, self.processor  # by what they do, not transformers' own classes
        each = []
        for start in range(0, len(image), BATCH):
            pictures = list(image[start : start + BATCH].expand(-1, 3, -1, -1))
            texts = list(caption[start : start + BATCH])
            each.append(_clip_score_update(pictures, texts, *pair)[0])
        score = torch.cat(each).double()
        return {"clip_score": Score(max(0.0, float(score.mean())), from_influence(score))}


class _Embeddings(nn.Module):
    """A CLIP whose embeddings are tensors, as torchmetrics expects: transformers 5 returns them inside an object."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network, self.config = network, network.config

    def get_image_features(self, pixel_values: Tensor) -> Tensor:
        features: Tensor = self.network.get_image_features(pixel_values).pooler_output
        return features

    def get_text_features(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        features: Tensor = self.network.get_text_features(input_ids, attention_mask).pooler_output
        return features


class _Processor:
    """A processor that cuts captions before their end token, in whose place CLIP's text embedding is read."""

    def __init__(self, processor: Any, most: int) -> None:
        self.processor, self.most = processor, most

    def __call__(self, **asked: Any) -> Any:
        cut = {"truncation": True, "max_length": self.most} if "text" in asked else {}
        return self.processor(**asked, **cut)

    def warn_if_cut(self, captions: Sequence[str]) -> None:
        """Tells of captions that are longer than `most` tokens, once for all of them."""
        lengths = [len(ids) for ids in self.processor.tokenizer(list(captions), verbose=False)["input_ids"]]
        if cut := sum(length > self.most for length in lengths):
            warnings.warn(
                f"{cut} of {len(lengths)} captions are longer than the {self.most} tokens that clip_score's CLIP reads"
                ", and are cut there",
                stacklevel=3,
            )


def _processor(library: Any, folder: Path) -> Any:
    """How the folder says that images and captions are read; by classes of our choice, so that it runs no code."""
    missing = [" or ".join(names) for names in PROCESSOR if not any((folder / name).is_file() for name in names)]
    if missing:
        raise ConfigError(
            f"{OWNER.name}: {folder} holds no {' and no '.join(missing)}: give metric.clip_score.weights a folder with "
            "CLIP's processor too, as its save_pretrained writes it, or set metric.clip_score.download=true with the "
            "name of a repository"
        )
    try:
        images = library.CLIPImageProcessor.from_pretrained(folder, local_files_only=True)
        tokenizer = library.CLIPTokenizer.from_pretrained(folder, local_files_only=True)
        return library.CLIPProcessor(image_processor=images, tokenizer=tokenizer)
    except Exception as error:  # tokenizers raises bare ones
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise ConfigError(
            f"{OWNER.name}: the processor in {folder} cannot be read ({reason}): fetch its files again"
        ) from error
