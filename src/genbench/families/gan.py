"""Generative adversarial network: two networks, two moves per batch."""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genbench.conditioning.label import LabelEmbedding
from genbench.core import Batch, Condition, ConfigError, Count, GenerativeModel, ImageSpec, Noise, TrainStep
from genbench.core.model import Losses
from genbench.families import adversarial
from genbench.networks.convnet import Decoder, Encoder


class Generator(nn.Module):
    """Latents [B,Z] and labels to images in (-1,1)."""

    def __init__(
        self, spec: ImageSpec, conditional: bool, latent: int, channels: Sequence[int], embedding: int
    ) -> None:
        super().__init__()
        self.label = LabelEmbedding(spec, conditional, embedding)
        self.decoder = Decoder(spec, channels, embedding, latent, spec.channels)

    def forward(self, z: Tensor, label: Tensor | None) -> Tensor:
        return self.decoder(z, self.label(label, len(z))).tanh()  # type: ignore[no-any-return]


class Discriminator(nn.Module):
    """Images and labels to one logit each; labels enter by projection (Miyato & Koyama 2018)."""

    def __init__(self, spec: ImageSpec, conditional: bool, channels: Sequence[int], features: int = 128) -> None:
        super().__init__()
        self.label = LabelEmbedding(spec, conditional, features) if conditional else None
        self.encoder = Encoder(spec, channels, 0, features)
        self.logit = nn.Linear(features, 1)

    def forward(self, image: Tensor, label: Tensor | None) -> Tensor:
        h = F.silu(self.encoder(image, None))
        out: Tensor = self.logit(h)[:, 0]
        if self.label is not None:
            out = out + (h * self.label(label, len(h))).sum(1) / h.shape[1] ** 0.5
        return out


class DCGAN(GenerativeModel):
    """Convolutional GAN in the line of Radford et al. (2016), with residual blocks and R1 in place of batch norm.

    R1 (Mescheder et al. 2018, eq. 9) penalises the discriminator's squared gradient at real images by r1/2.

    Raises:
        ConfigError: a negative penalty, or an image the networks cannot halve.
    """

    def __init__(
        self,
        spec: ImageSpec,
        conditional: bool = True,
        latent: Count = 64,
        channels: Sequence[Count] = (32, 64),
        embedding: Count = 32,
        objective: Literal["non_saturating", "hinge"] = "non_saturating",
        r1: float = 0.1,
    ) -> None:
        super().__init__(spec, conditional)
        if r1 < 0.0:
            raise ConfigError(f"model.r1 is {r1}; expected 0 (no penalty) or more")
        self.latent, self.objective, self.r1 = latent, objective, r1
        self.generator = Generator(spec, conditional, latent, channels, embedding)
        self.discriminator = Discriminator(spec, conditional, channels)

    @property
    def network(self) -> nn.Module:
        return self.generator

    def train_steps(self) -> Sequence[TrainStep]:
        return [
            TrainStep("discriminator", self.discriminator, self.discriminator_loss, averaged=False),
            TrainStep("generator", self.generator, self.generator_loss),
        ]

    def discriminator_loss(self, batch: Batch, noise: Noise) -> Losses:
        """Tell real from generated, gently around the real images."""
        with torch.no_grad():
            fake = self.generator(noise.normal(self.latent), batch.label)
        image = batch.image.detach().requires_grad_(self.r1 > 0.0)
        real_logit, fake_logit = self.discriminator(image, batch.label), self.discriminator(fake, batch.label)
        hinge = self.objective == "hinge"
        criterion = adversarial.hinge_discriminator if hinge else adversarial.non_saturating_discriminator
        losses = {
            "loss": criterion(real_logit, fake_logit),
            "real_logit": real_logit.mean(),
            "fake_logit": fake_logit.mean(),
        }
        if self.r1 > 0.0:
            losses["r1"] = adversarial.gradient_penalty(real_logit, image)
            losses["loss"] = losses["loss"] + 0.5 * self.r1 * losses["r1"]
        return losses

    def generator_loss(self, batch: Batch, noise: Noise) -> Losses:
        """Make the discriminator call the generated images real."""
        fake_logit = self.discriminator(self.generator(noise.normal(self.latent), batch.label), batch.label)
        hinge = self.objective == "hinge"
        criterion = adversarial.hinge_generator if hinge else adversarial.non_saturating_generator
        return {"loss": criterion(fake_logit)}

    def sample(self, noise: Noise, condition: Condition) -> Tensor:
        return self.generator(noise.normal(self.latent), condition.label)  # type: ignore[no-any-return]
