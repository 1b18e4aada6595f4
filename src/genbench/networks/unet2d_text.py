"""diffusers' U-Net with attention to a text, that of Stable Diffusion (Rombach et al. 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd
from typing import Any

from torch import Tensor, nn

from genbench.core import Conditioning, Count, ImageSpec, Share
from genbench.networks.backbone import Backbone
from genbench.networks.layers import attending, group_norm, head_width, zero

STEPS = 1000
"""The range of times that the frequencies were made for."""


class UNet2DText(Backbone):
    """A `diffusers.UNet2DConditionModel`, its output zero at first; our vector joins its features of time.

    One resolution per entry of `channels`, `blocks` residual blocks each; maps of the heights in `attention`, and
    those at the coarsest, attend to themselves and to tokens of width `context`.

    Raises:
        ConfigError: the image cannot be halved len(channels) - 1 times, or never has a height in `attention`.
    """

    def __init__(
        self,
        spec: ImageSpec,
        channels: Sequence[Count] = (64, 128),
        blocks: Count = 1,
        attention: Sequence[int] = (8, 16),
        heads: Count = 4,
        embedding: Count = 256,
        context: Count = 128,
        dropout: Share = 0.0,
        outputs: int = 1,
    ) -> None:
        # here because the import takes seconds
        from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

        super().__init__(embedding, outputs, context)
        attends = attending(spec, len(channels), attention)
        for size in channels:
            head_width(size, heads, "backbone.heads")
        self.unet: Any = UNet2DConditionModel(
            sample_size=(spec.height, spec.width),
            in_channels=spec.channels,
            out_channels=outputs * spec.channels,
            block_out_channels=tuple(channels),
            down_block_types=tuple("CrossAttnDownBlock2D" if yes else "DownBlock2D" for yes in attends),
            up_block_types=tuple("CrossAttnUpBlock2D" if yes else "UpBlock2D" for yes in reversed(attends)),
            layers_per_block=blocks,
            attention_head_dim=heads,  # their name for the number of heads
            cross_attention_dim=context,
            class_embed_type="identity",
            time_embedding_dim=embedding,
            dropout=dropout,
            norm_num_groups=group_norm(gcd(*channels)).num_groups,
        )
        zero(self.unet.conv_out)

    @property
    def recomputable(self) -> Sequence[nn.Module]:
        return [*self.unet.down_blocks, self.unet.mid_block, *self.unet.up_blocks]

    def forward(self, x: Tensor, t: Tensor, condition: Conditioning) -> Tensor:
        assert condition.tokens is not None
        output: Tensor = self.unet(
            x,
            t * STEPS,
            encoder_hidden_states=condition.tokens,
            encoder_attention_mask=condition.mask,
            class_labels=condition.vector,
            return_dict=False,
        )[0]
        return output
