"""What a generative model is: a plain module that says what it optimises and how it samples."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor, nn

from genbench.core.batch import Batch, Condition
from genbench.core.noise import Noise
from genbench.core.spec import ImageSpec

Losses = dict[str, Tensor]
"""Scalars of one step; the key `loss` is the one that is minimised, the others are logged."""


@dataclass(frozen=True)
class TrainStep:
    """One optimiser move: which part of the model it moves and by which loss.

    A GAN lists two, everything else one. `averaged` says whether the EMA follows these weights
    (a discriminator never samples, so its average would be waste).
    """

    name: str
    module: nn.Module
    loss: Callable[[Batch, Noise], Losses]
    averaged: bool = True


class GenerativeModel(nn.Module, ABC):
    """A model of images: trained by its steps, judged by its samples.

    `network` is the module whose evaluations are the cost of sampling (NFE); every evaluation goes
    through its `forward` with the batch as first dimension. `progress` is the share of the training's budget that is
    seen, for losses that change over it; the trainer sets it.
    """

    def __init__(self, spec: ImageSpec, conditional: bool) -> None:
        super().__init__()
        self.spec = spec
        self.conditional = conditional
        self.progress = 0.0

    @property
    @abstractmethod
    def network(self) -> nn.Module:
        """The module evaluated while sampling."""

    @property
    def networks(self) -> tuple[nn.Module, ...]:
        """All whose evaluations are that cost: `network`, and what helps it to sample."""
        return (self.network,)

    @property
    def reads_captions(self) -> bool:
        """Whether captions say what a sample shows; `conditional` says so of labels."""
        return False

    @property
    def recomputable(self) -> Sequence[nn.Module]:
        """Parts that may be run again for their gradients, so that their activations need not be kept."""
        return ()

    @abstractmethod
    def train_steps(self) -> Sequence[TrainStep]:
        """The optimiser moves made for every batch, in order."""

    def forward(self, loss: Callable[[Batch, Noise], Losses], batch: Batch, noise: Noise) -> Losses:
        """A loss of this model's: the trainer computes all by calling the model, so that hooks on it see them."""
        return loss(batch, noise)

    @abstractmethod
    def sample(self, noise: Noise, condition: Condition) -> Tensor:
        """Images float [B,C,H,W], nominally in [-1,1], for the B generators of `noise`."""


@dataclass(frozen=True)
class Likelihood:
    """Bits per dimension [B], with the kind of figure it is: exact, elbo, iwae-K, vlb, ode-dequantised."""

    bits_per_dim: Tensor
    kind: str


@runtime_checkable
class HasLikelihood(Protocol):
    """A model that can say how probable an image is."""

    def likelihood(self, batch: Batch, noise: Noise) -> Likelihood | None:
        """-log2 p(image) / D per image, at the data's own grey levels; None where none was asked for."""
        ...


@runtime_checkable
class Autoencoder(Protocol):
    """A model whose latents another model may be trained on; `latent_shape` is (c, h, w)."""

    latent_shape: tuple[int, int, int]

    def encode(self, image: Tensor, condition: Condition) -> Tensor:
        """Images float [B,C,H,W] in [-1,1] to their mean latents [B,c,h,w]."""
        ...

    def decode(self, latent: Tensor, condition: Condition) -> Tensor:
        """The images that latents [B,c,h,w] stand for, nominally in [-1,1]."""
        ...
