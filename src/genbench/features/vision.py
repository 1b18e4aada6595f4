"""Features of DINOv2 and CLIP, from a local folder in the Hugging Face layout (extra `vision`)."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from genbench.core import ConfigError, ImageSpec
from genbench.features import hub
from genbench.features.base import FeatureExtractor

DINO_SIDE = 224
"""Pixels a side that DINOv2's features are published at (Stein et al. 2023, appendix), whatever the config says."""


class HuggingFaceVision(FeatureExtractor):
    """A vision transformer over images as Pillow resizes them; grey is repeated to RGB, and there are no logits.

    The fingerprint is the sha256 of `model.safetensors`; what its config adds is told in `preprocessing`.
    """

    def __init__(self, name: str, sha256: str, network: nn.Module, config: Any, side: int, colours: str) -> None:
        facts = f"{config.num_attention_heads} heads, {config.hidden_act}, layer norm {config.layer_norm_eps:g}"
        super().__init__(
            name,
            sha256,
            f"grey repeated to RGB, Pillow's bicubic to {side} as bytes, {colours} mean and deviation; {facts}",
            classifies=False,
        )
        self.network, self.side = network, side
        mean, deviation = COLOURS[colours]
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(deviation).view(3, 1, 1), persistent=False)
        self.mean: Tensor
        self.deviation: Tensor
        self.freeze()

    def check(self, spec: ImageSpec) -> None:
        """Any size will do: images are resized."""

    def pixels(self, image: Tensor) -> Tensor:
        """Float32 [B,3,side,side] as the network takes it, of uint8 images."""
        self.require_bytes(image)
        resized = resize(image.expand(-1, 3, -1, -1), self.side).to(image.device)
        return (resized.float() / 255.0 - self.mean) / self.deviation


class DINOv2(HuggingFaceVision):
    """The class token after the last layer norm, [B,1024] of ViT-L/14 (Stein et al. 2023, dgm-eval).

    `weights` is a folder with config.json and model.safetensors, or the name of a repository in Hugging Face's
    cache, which `download` fills; null is dgm-eval's network. `sha256` is that of model.safetensors (at least 8
    hex digits), checked before it is parsed.

    Raises:
        ConfigError: transformers or weights that are absent, or weights of another sum or network.
    """

    def __init__(self, weights: Path | str | None = None, sha256: str | None = None, download: bool = False) -> None:
        owner = hub.Owner("features=dinov2")
        library = hub.transformers(owner)
        facts, state, found = hub.read(owner, hub.find(owner, weights or "facebook/dinov2-large", download), sha256)
        hub.require_type(owner, facts, ["dinov2"])
        config = library.Dinov2Config(**facts)
        if DINO_SIDE % config.patch_size:
            raise ConfigError(
                f"features=dinov2: patches of {config.patch_size} pixels do not tile {DINO_SIDE}: use published weights"
            )
        network = hub.build(owner, library.Dinov2Model, config, state)
        super().__init__("dinov2", found, network, config, DINO_SIDE, "ImageNet")

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        tokens = self.network(pixel_values=self.pixels(image)).last_hidden_state
        return {"features": tokens[:, 0], "logits": tokens.new_zeros(len(image), 0)}


class CLIP(HuggingFaceVision):
    """The projected image embedding, unnormalised, [B,768] of ViT-L/14-336 (Jayasumana et al. 2024, CMMD).

    Arguments and errors as of `DINOv2`; null weights are CMMD's. Images are brought to the square the network
    was trained on, without cropping.
    """

    def __init__(self, weights: Path | str | None = None, sha256: str | None = None, download: bool = False) -> None:
        owner = hub.Owner("features=clip")
        library = hub.transformers(owner)
        name = weights or "openai/clip-vit-large-patch14-336"
        facts, state, found = hub.read(owner, hub.find(owner, name, download), sha256)
        hub.require_type(owner, facts, ["clip", "clip_vision_model"])
        config = library.CLIPVisionConfig(**facts.get("vision_config", facts))
        network = hub.build(owner, library.CLIPVisionModelWithProjection, config, state)
        super().__init__("clip", found, network, config, config.image_size, "CLIP")

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        features = self.network(pixel_values=self.pixels(image)).image_embeds
        return {"features": features, "logits": features.new_zeros(len(image), 0)}


COLOURS = {
    "ImageNet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "CLIP": ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
}


def resize(image: Tensor, side: int) -> Tensor:
    """Uint8 [B,3,side,side] of uint8 images [B,3,H,W], by Pillow itself: torch's kernel rounds some bytes otherwise."""
    arrays = image.permute(0, 2, 3, 1).cpu().numpy()
    resized = [np.asarray(Image.fromarray(a).resize((side, side), Image.Resampling.BICUBIC)) for a in arrays]
    return torch.from_numpy(np.stack(resized)).permute(0, 3, 1, 2)
