"""Power-function averages of weights, and averages of any length put together afterwards (Karras et al. 2024).

An average over a training of t images weighs the weights at image s by p(s) = (gamma+1)/t (s/t)^gamma. Its length is
its relative deviation sigma_rel, the deviation of s/t: 0.1 says that it spans about the last tenth of the training,
however long that is.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from genbench.core import ConfigError

LENGTHS = (0.05, 0.10)
"""sigma_rel of the two averages that are tracked, as in the paper's section 3.2."""
FARTHEST = 0.1
"""The distance from which on a combination no longer stands for the average it is asked for."""
LONGEST = 12**-0.5
"""sigma_rel of gamma = 0, the plain mean of all weights."""


class Profile(NamedTuple):
    """A power function over the images of a training that has seen `images`."""

    gamma: float
    images: float


def sigma_rel(gamma: float) -> float:
    """Deviation of s/t under p, whose first two moments are (gamma+1)/(gamma+2) and (gamma+1)/(gamma+3)."""
    return float((gamma + 1.0) ** 0.5 / ((gamma + 2.0) * (gamma + 3.0) ** 0.5))


def gamma_of(length: float) -> float:
    """The exponent whose average has sigma_rel = `length`: the largest root of sigma_rel(gamma)^2 = length^2.

    Raises:
        ConfigError: longer than the mean of all weights, or not positive.
    """
    if not (isfinite(length) and 0.0 < length <= LONGEST):
        raise ConfigError(
            f"an average of relative length {length:g} there is none: expected more than 0 and at most {LONGEST:.4f}, "
            "such as 0.1 for about the last tenth of the training"
        )
    inverse = length**-2
    return float(np.roots([1.0, 7.0, 16.0 - inverse, 12.0 - inverse]).real.max())


def decay(gamma: float, images_seen: int, batch: int) -> float:
    """Weight of the old average for a batch that ends at `images_seen` (algorithm 1 in steps of a batch)."""
    return float((1.0 - batch / images_seen) ** (gamma + 1.0))


def inner_products(a: Sequence[Profile], b: Sequence[Profile]) -> npt.NDArray[np.float64]:
    """The integrals of p q over all images, for every p of `a` (rows) and q of `b`.

    Both are powers up to the earlier end m, so that the integral is m (gamma_a+1)(gamma_b+1) (m/t_a)^gamma_a
    (m/t_b)^gamma_b / (t_a t_b (gamma_a+gamma_b+1)); ratios first, so that no power overflows.
    """
    (ga, ta), (gb, tb) = ([np.array(column)[:, None] for column in zip(*profiles, strict=True)] for profiles in (a, b))
    gb, tb = gb.T, tb.T
    m = np.minimum(ta, tb)
    product: npt.NDArray[np.float64] = (
        (m / ta) ** ga * (m / tb) ** gb * (ga + 1.0) * (gb + 1.0) * m / (ta * tb * (ga + gb + 1.0))
    )
    return product


def combination(stored: Sequence[Profile], wanted: Profile) -> tuple[npt.NDArray[np.float64], float]:
    """What to multiply stored averages with to come nearest to the wanted one, and how far off that is.

    The least squares of the profiles themselves (section 3.2). The distance is the norm of the difference as a share
    of the wanted profile's.
    """
    products, target = inner_products(stored, stored), inner_products(stored, [wanted])[:, 0]
    norms, norm = np.sqrt(np.diag(products)), inner_products([wanted], [wanted])[0, 0] ** 0.5
    # in units of the norms, so that early and late snapshots are solved for equally well
    unit = np.linalg.lstsq(products / np.outer(norms, norms), target / (norms * norm), rcond=1e-15)[0]
    missing = 1.0 - unit @ (2.0 * target / (norms * norm) - products / np.outer(norms, norms) @ unit)
    return unit * norm / norms, float(max(missing, 0.0)) ** 0.5
