"""Variational autoencoder: compress to a Gaussian code, decode, and bound the likelihood."""

import math
from collections.abc import Sequence

from torch import Tensor, nn

from genbench.conditioning.label import LabelEmbedding
from genbench.core import Batch, Condition, Count, GenerativeModel, ImageSpec, Likelihood, Noise, TrainStep
from genbench.core.model import Losses
from genbench.core.pixels import to_levels
from genbench.families.likelihoods import discretised_logistic
from genbench.networks.convnet import Decoder, Encoder


class VAE(GenerativeModel):
    """Convolutional VAE (Kingma & Welling 2014) with a discretised logistic likelihood per pixel.

    `beta` weighs the KL term in training only; the reported bound always has weight 1.
    Samples show the decoder's means.
    """

    def __init__(
        self,
        spec: ImageSpec,
        conditional: bool = True,
        latent: Count = 16,
        channels: Sequence[Count] = (32, 64),
        embedding: Count = 32,
        beta: float = 1.0,
    ) -> None:
        super().__init__(spec, conditional)
        self.latent, self.beta = latent, beta
        self.latent_shape = (latent, 1, 1)
        self.label = LabelEmbedding(spec, conditional, embedding)
        self.encoder = Encoder(spec, channels, embedding, 2 * latent)
        self.decoder = Decoder(spec, channels, embedding, latent, 2 * spec.channels)

    @property
    def network(self) -> nn.Module:
        return self.decoder

    def train_steps(self) -> Sequence[TrainStep]:
        return [TrainStep("model", self, self.loss)]

    def loss(self, batch: Batch, noise: Noise) -> Losses:
        """Negative evidence lower bound in bits per dimension, KL weighted by beta."""
        distortion, kl = self.bound(batch, noise)
        bits = 1.0 / (math.log(2.0) * self.spec.dims)
        distortion, kl = distortion.mean() * bits, kl.mean() * bits
        return {"loss": distortion + self.beta * kl, "distortion": distortion, "kl": kl}

    def likelihood(self, batch: Batch, noise: Noise) -> Likelihood:
        """The evidence lower bound with one posterior sample."""
        distortion, kl = self.bound(batch, noise)
        return Likelihood((distortion + kl) / (math.log(2.0) * self.spec.dims), "elbo")

    def bound(self, batch: Batch, noise: Noise) -> tuple[Tensor, Tensor]:
        """-log p(x|z) and KL(q(z|x) || N(0,1)) in nats, each [B]."""
        label = self.label(batch.label, len(batch))
        mean, log_var = self.encoder(batch.image, label).float().chunk(2, dim=1)
        z = mean + (0.5 * log_var).exp() * noise.normal(self.latent)
        kl = 0.5 * (mean.square() + log_var.exp() - 1.0 - log_var).sum(1)
        pixel_mean, log_scale = self.pixels(z, label)
        level = to_levels(batch.image, self.spec.levels)
        log_p = discretised_logistic(level, pixel_mean, log_scale, self.spec.levels)
        return -log_p.flatten(1).sum(1), kl

    def pixels(self, z: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log scale of every pixel's logistic."""
        mean, log_scale = self.decoder(z, label).float().chunk(2, dim=1)
        # much narrower than a bin, all mass is on one level already: the bound would only buy instability
        return mean, log_scale.clamp(min=-math.log(self.spec.levels - 1) - 2.0, max=2.0)

    def sample(self, noise: Noise, condition: Condition) -> Tensor:
        z = noise.normal(self.latent)
        return self.pixels(z, self.label(condition.label, len(noise)))[0]

    def encode(self, image: Tensor, condition: Condition) -> Tensor:
        mean, _ = self.encoder(image, self.label(condition.label, len(image))).float().chunk(2, dim=1)
        latent: Tensor = mean[:, :, None, None]
        return latent

    def decode(self, latent: Tensor, condition: Condition) -> Tensor:
        image, _ = self.pixels(latent.flatten(1), self.label(condition.label, len(latent)))
        return image
