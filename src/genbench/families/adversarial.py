"""What a discriminator and a generator each minimise, given the discriminator's logits."""

import torch
import torch.nn.functional as F
from torch import Tensor


def non_saturating_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Cross-entropy of telling real from generated (Goodfellow et al. 2014, eq. 1)."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def non_saturating_generator(fake: Tensor) -> Tensor:
    """-log D(G(z)), which keeps its gradient where the discriminator is sure (Goodfellow et al. 2014, section 3)."""
    return F.softplus(-fake).mean()


def hinge_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Margins of one on either side (Miyato et al. 2018, eq. 16)."""
    return F.relu(1.0 - real).mean() + F.relu(1.0 + fake).mean()


def hinge_generator(fake: Tensor) -> Tensor:
    """The plain logit (Miyato et al. 2018, eq. 17)."""
    return -fake.mean()


def gradient_penalty(logit: Tensor, image: Tensor) -> Tensor:
    """R1 without its factor: mean squared norm of dlogit/dimage (Mescheder et al. 2018, eq. 9).

    `logit` [B] must be computed from `image` [B,...], each from its own; differentiable itself.
    """
    (gradient,) = torch.autograd.grad(logit.sum(), image, create_graph=True)
    return gradient.square().flatten(1).sum(1).mean()
