"""diffusers' U-Net, at the widths of the published image models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import gcd
from typing import Any, Literal

from torch import Tensor, nn

from genbench.core import Conditioning, Count, ImageSpec, Share
from genbench.networks.backbone import Backbone
from genbench.networks.layers import attending, group_norm, zero


class DiffusersUNet(Backbone):
    """A `diffusers.UNet2DModel` of any configuration, its features of time joined by our embedding.

    `steps` is the T of its training: what is t = i/T here has the number i - 1 there.
    """

    def __init__(self, config: Mapping[str, Any], steps: int = 1000, outputs: int = 1) -> None:
        # here because the import takes seconds
        from diffusers.models.unets.unet_2d import UNet2DModel

        super().__init__(config.get("time_embedding_dim") or 4 * config["block_out_channels"][0], outputs)
        self.steps = steps
        self.unet: Any = UNet2DModel.from_config({**config, "class_embed_type": "identity"})

    @property
    def recomputable(self) -> Sequence[nn.Module]:
        return [*self.unet.down_blocks, self.unet.mid_block, *self.unet.up_blocks]

    def forward(self, x: Tensor, t: Tensor, condition: Conditioning) -> Tensor:
        time, vector = t * self.steps - 1.0, condition.vector
        output: Tensor = self.unet(x, time, class_labels=vector, return_dict=False)[0]
        return output


class UNet2D(DiffusersUNet):
    """A `diffusers.UNet2DModel` at the widths of a preset, its output zero at first.

    One resolution per entry of `channels`, `blocks` residual blocks each, self-attention with one head on maps of the
    heights in `attention` and at the coarsest. `resample` changes resolution by a strided convolution as Ho et al.
    (2020) do, or by a residual block as Song et al. (2021) and Karras et al. (2022) do.

    Raises:
        ConfigError: the image cannot be halved len(channels) - 1 times, or never has a height in `attention`.
    """

    def __init__(
        self,
        spec: ImageSpec,
        channels: Sequence[Count] = (128, 256, 256, 256),
        blocks: Count = 2,
        attention: Sequence[int] = (16,),
        embedding: Count = 512,
        resample: Literal["conv", "resnet"] = "conv",
        dropout: Share = 0.0,
        outputs: int = 1,
    ) -> None:
        attends = attending(spec, len(channels), attention)
        config = {
            "sample_size": (spec.height, spec.width),
            "in_channels": spec.channels,
            "out_channels": outputs * spec.channels,
            "block_out_channels": tuple(channels),
            "down_block_types": tuple("AttnDownBlock2D" if yes else "DownBlock2D" for yes in attends),
            "up_block_types": tuple("AttnUpBlock2D" if yes else "UpBlock2D" for yes in reversed(attends)),
            "layers_per_block": blocks,
            "attention_head_dim": None,
            "time_embedding_dim": embedding,
            "downsample_type": resample,
            "upsample_type": resample,
            "dropout": dropout,
            "norm_num_groups": group_norm(gcd(*channels)).num_groups,
            # as the published weights of DDPM have it
            "norm_eps": 1e-6,
            "downsample_padding": 0,
            "flip_sin_to_cos": False,
            "freq_shift": 1,
        }
        super().__init__(config, outputs=outputs)
        zero(self.unet.conv_out)
