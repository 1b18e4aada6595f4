"""Autoregressive pixels: predict each from those before it."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genbench.conditioning.label import LabelEmbedding
from genbench.core import (
    Batch,
    Condition,
    ConfigError,
    Count,
    GenerativeModel,
    ImageSpec,
    Likelihood,
    Noise,
    Share,
    TrainStep,
)
from genbench.core.model import Losses
from genbench.core.pixels import from_levels, to_levels
from genbench.networks.transformer import Transformer


class TokenSampler:
    """How tokens are drawn: by inverting the CDF of one uniform number each.

    `cache=False` recomputes the whole prefix for every token and exists to check and time the cache.
    """

    def __init__(self, temperature: float = 1.0, cache: bool = True) -> None:
        if temperature <= 0.0:
            raise ConfigError(f"sampler.temperature is {temperature}; expected a positive number, 1 as trained")
        self.temperature, self.cache = temperature, cache

    def draw(self, logits: Tensor, uniform: Tensor) -> Tensor:
        """Token int64 [B] for logits [B,V] and uniforms [B] in [0,1)."""
        cdf = (logits.double() / self.temperature).softmax(-1).cumsum(-1)
        # rounding must not leave a uniform above the whole CDF
        cdf[:, -1] = 1.0
        return torch.searchsorted(cdf, uniform.double()[:, None], right=True)[:, 0]


class PixelGPT(GenerativeModel):
    """A decoder transformer over the raster of grey levels (Chen et al. 2020, at the size of small images).

    Channels of a pixel follow each other. The likelihood is exact and normalised over the data's levels only.

    Raises:
        ConfigError: more than `max_tokens` values per image.
    """

    def __init__(
        self,
        spec: ImageSpec,
        sampler: TokenSampler,
        conditional: bool = True,
        width: Count = 96,
        layers: Count = 4,
        heads: Count = 4,
        dropout: Share = 0.0,
        max_tokens: Count = 3072,
    ) -> None:
        super().__init__(spec, conditional)
        if spec.dims > max_tokens:
            raise ConfigError(
                f"pixel_gpt reads one token per value, {spec.dims} for {spec.height}x{spec.width}x{spec.channels} "
                f"images, more than model.max_tokens={max_tokens}: resize the data or raise the limit"
            )
        self.sampler = sampler
        self.label = LabelEmbedding(spec, conditional, width)
        self.token = nn.Embedding(spec.levels, width)
        self.start = nn.Parameter(torch.zeros(width))
        self.row = nn.Embedding(spec.height, width)
        self.column = nn.Embedding(spec.width, width)
        self.channel = nn.Embedding(spec.channels, width)
        self.dropout = nn.Dropout(dropout)
        self.transformer = Transformer(width, layers, heads, spec.levels, dropout)

    @property
    def network(self) -> nn.Module:
        return self.transformer

    @property
    def recomputable(self) -> Sequence[nn.Module]:
        return list(self.transformer.blocks)

    def train_steps(self) -> Sequence[TrainStep]:
        return [TrainStep("model", self, self.loss)]

    def tokens(self, image: Tensor) -> Tensor:
        """Levels int64 [B, H*W*C] in raster order."""
        return to_levels(image, self.spec.levels).permute(0, 2, 3, 1).flatten(1)

    def image(self, token: Tensor) -> Tensor:
        """The image of a full raster; the inverse of `tokens`."""
        c, h, w = self.spec.shape
        return from_levels(token.reshape(-1, h, w, c).permute(0, 3, 1, 2), self.spec.levels)

    def positions(self) -> Tensor:
        """Position embeddings [T, width] of the token each output predicts."""
        row, column, channel = self.row.weight, self.column.weight, self.channel.weight
        return (row[:, None, None] + column[None, :, None] + channel[None, None, :]).flatten(0, 2)

    def nats(self, batch: Batch) -> Tensor:
        """-log p of every token, [B,T]."""
        token = self.tokens(batch.image)
        previous = torch.cat([self.start.expand(len(batch), 1, -1), self.token(token[:, :-1])], dim=1)
        x = previous + self.positions() + self.label(batch.label, len(batch))[:, None]
        logits = self.transformer(self.dropout(x)).float()
        return F.cross_entropy(logits.flatten(0, 1), token.flatten(), reduction="none").view_as(token)

    def loss(self, batch: Batch, noise: Noise) -> Losses:
        """Exact negative log-likelihood in bits per dimension."""
        return {"loss": self.nats(batch).mean() / math.log(2.0)}

    def likelihood(self, batch: Batch, noise: Noise) -> Likelihood:
        """Exact bits per dimension."""
        return Likelihood(self.nats(batch).mean(1) / math.log(2.0), "exact")

    def sample(self, noise: Noise, condition: Condition) -> Tensor:
        uniform = noise.uniform(self.spec.dims)
        steer = self.positions()[None] + self.label(condition.label, len(noise))[:, None]
        cache = self.transformer.cache(len(noise), self.spec.dims) if self.sampler.cache else None
        inputs = self.start.expand(len(noise), 1, -1)
        drawn: list[Tensor] = []
        for position in range(self.spec.dims):
            if cache is None:
                logits = self.transformer(inputs + steer[:, : position + 1])[:, -1]
            else:
                logits = self.transformer(inputs[:, -1:] + steer[:, position : position + 1], cache)[:, -1]
            drawn.append(self.sampler.draw(logits, uniform[:, position]))
            embedded = self.token(drawn[-1])[:, None]
            inputs = embedded if cache is not None else torch.cat([inputs, embedded], dim=1)
        return self.image(torch.stack(drawn, dim=1))
