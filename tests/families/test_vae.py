"""The VAE's bound: its KL in closed form, the bound itself against the exact likelihood by quadrature."""

import itertools
import math

import numpy as np
import pytest
import torch
from small_models import awake, fake_batch
from torch import Tensor

from genbench.core import Batch, Condition, ImageSpec, Noise, SeededNoise, StreamNoise
from genbench.core.pixels import from_levels
from genbench.families.likelihoods import discretised_logistic
from genbench.families.vae import VAE

TINY = ImageSpec(1, 2, 2, levels=3)


class Nodes(Noise):
    """Gauss-Hermite nodes in place of normals: sums over them with `weights` are exact expectations."""

    def __init__(self, n: int) -> None:
        nodes, weights = np.polynomial.hermite_e.hermegauss(n)
        self.nodes = torch.tensor(nodes, dtype=torch.float32)
        self.weights = torch.tensor(weights / weights.sum(), dtype=torch.float64)

    def __len__(self) -> int:
        return len(self.nodes)

    def normal(self, *shape: int) -> Tensor:
        return self.nodes.reshape(-1, *[1] * len(shape)).expand(-1, *shape)

    def uniform(self, *shape: int) -> Tensor:
        raise AssertionError("the bound draws normals only")


@pytest.fixture
def tiny() -> VAE:
    """A VAE of 2x2 images with 3 levels (81 images in all) and one latent dimension."""
    model = VAE(TINY, conditional=False, latent=1, channels=(4,), embedding=2)
    awake(model)
    return model


def log_p_given(model: VAE, level: Tensor, z: Tensor) -> Tensor:
    """log p(x|z) in nats [Z] for one image of levels [1,2,2] and codes [Z,1]."""
    with torch.no_grad():
        mean, log_scale = model.pixels(z, model.label(None, len(z)))
    return discretised_logistic(level.expand_as(mean), mean.double(), log_scale.double(), 3).flatten(1).sum(1)


def exact_log_p(model: VAE, level: Tensor) -> tuple[float, Tensor, Tensor]:
    """log p(x) by quadrature over z, with the grid and the log posterior density on it."""
    z = torch.linspace(-9, 9, 3001)[:, None]
    prior = -0.5 * z[:, 0].double() ** 2 - 0.5 * math.log(2 * math.pi)
    joint = log_p_given(model, level, z) + prior
    log_p = torch.logsumexp(joint, 0).item() + math.log(18 / 3000)
    return log_p, z, joint - log_p


def test_exact_likelihoods_of_all_images_sum_to_one(tiny: VAE) -> None:
    total = 0.0
    for values in itertools.product(range(3), repeat=4):
        total += math.exp(exact_log_p(tiny, torch.tensor(values).reshape(1, 2, 2))[0])
    assert total == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("values", [(0, 1, 2, 0), (2, 2, 2, 2), (0, 0, 0, 1)])
def test_the_bound_misses_the_exact_likelihood_by_the_posterior_divergence(tiny: VAE, values: tuple[int, ...]) -> None:
    level, noise = torch.tensor(values).reshape(1, 2, 2), Nodes(64)
    batch = Batch(from_levels(level, 3).expand(64, 1, 2, 2), None, None, torch.arange(64))
    with torch.no_grad():
        bits = tiny.likelihood(batch, noise)
        mean, log_var = tiny.encoder(batch.image[:1], tiny.label(None, 1)).double()[0].tolist()
    assert bits.kind == "elbo"
    elbo = -(bits.bits_per_dim.double() * noise.weights).sum().item() * 4 * math.log(2.0)

    log_p, z, log_posterior = exact_log_p(tiny, level)
    log_q = -0.5 * (z[:, 0].double() - mean) ** 2 / math.exp(log_var) - 0.5 * (math.log(2 * math.pi) + log_var)
    divergence = (log_q.exp() * (log_q - log_posterior)).sum().item() * 18 / 3000
    assert divergence > 0.0
    assert elbo == pytest.approx(log_p - divergence, abs=1e-4)


def test_divergence_from_the_prior_is_the_closed_form() -> None:
    spec = ImageSpec(1, 8, 8, levels=17)
    model, batch = VAE(spec, conditional=False, latent=3, channels=(8, 8)), fake_batch(spec, 4)
    awake(model)
    with torch.no_grad():
        mean, log_var = model.encoder(batch.image, model.label(None, 4)).chunk(2, dim=1)
        _, kl = model.bound(batch, StreamNoise(4))
    posterior = torch.distributions.Normal(mean, (0.5 * log_var).exp())
    prior = torch.distributions.Normal(torch.zeros(3), torch.ones(3))
    expected = torch.distributions.kl_divergence(posterior, prior).sum(1)
    assert (expected > 0.01).all()
    torch.testing.assert_close(kl, expected)


def test_loss_weighs_the_divergence_and_the_reported_bound_does_not() -> None:
    spec = ImageSpec(1, 8, 8, levels=17)
    model, batch = VAE(spec, conditional=False, latent=3, channels=(8, 8), beta=0.25), fake_batch(spec, 4)
    awake(model)
    noise = [SeededNoise(0, range(4)) for _ in range(2)]
    losses, bits = model.loss(batch, noise[0]), model.likelihood(batch, noise[1]).bits_per_dim
    torch.testing.assert_close(losses["loss"], losses["distortion"] + 0.25 * losses["kl"])
    torch.testing.assert_close(bits.mean(), losses["distortion"] + losses["kl"])


def test_a_wild_decoder_still_has_a_finite_loss_and_gradient() -> None:
    spec = ImageSpec(1, 8, 8, levels=17)
    model, batch = VAE(spec, conditional=False, latent=3, channels=(8, 8)), fake_batch(spec, 4)
    with torch.no_grad():
        model.decoder.head[-1].weight.normal_(std=1e4)
    loss = model.loss(batch, StreamNoise(4))["loss"]
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_a_sample_is_the_decoders_mean() -> None:
    spec = ImageSpec(1, 8, 8, num_classes=10, levels=17)
    model = VAE(spec, latent=3, channels=(8, 8))
    awake(model)
    label = torch.tensor([4, 7])
    z = SeededNoise(1, range(2)).normal(3)
    with torch.no_grad():
        expected = model.decoder(z, model.label(label, 2))[:, :1]
        sample = model.sample(SeededNoise(1, range(2)), Condition(label))
    torch.testing.assert_close(sample, expected, rtol=0, atol=0)
