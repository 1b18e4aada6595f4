"""How different samples of one class look from each other."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from genbench.core import ConfigError, DataError
from genbench.core.pixels import to_float
from genbench.features.files import sha256_of, verify
from genbench.metrics.base import SAMPLES, Evidence, Metric, Score, Scores
from genbench.metrics.resampling import from_influence

LEAST_SIDE, MOST_PAIRS, BLOCK = 32, 5000, 64


class LpipsDiversity(Metric):
    """`lpips_diversity`: mean perceptual distance of two samples of one class (Zhang et al. 2018); more is more varied.

    Seeded disjoint pairs within each class asked for, of all samples where there are no labels; at most 5000. LPIPS
    0.1 over AlexNet, its linear heads from torchmetrics. Images narrower than 32 pixels are enlarged to that, the
    least the network takes, by bilinear interpolation; grey is repeated to colour. `weights` is torchvision's
    AlexNet (alexnet-owt-7be5be79.pth), `sha256` what its fingerprint must begin with. None where the samples' pixels
    were not kept.

    Raises:
        ConfigError: no weights, or others than the fingerprint says.
        DataError: no class with two samples.
    """

    keys = ("lpips_diversity",)
    title = "the diversity by LPIPS"
    needs_images = True

    def __init__(self, weights: Path | None = None, sha256: str = "7be5be79") -> None:
        if weights is None:
            raise ConfigError(
                "lpips_diversity needs AlexNet's weights: give metric.lpips_diversity.weights torchvision's file "
                "alexnet-owt-7be5be79.pth, or leave the metric out"
            )
        self.network, self.fingerprint = _network(Path(weights), sha256)

    def least(self, dims: int) -> Mapping[str, int]:
        # two pairs; that each is of one class is only known when they are drawn
        return {SAMPLES: 4}

    @torch.no_grad()
    def __call__(self, evidence: Evidence) -> Scores:
        image, label = evidence.samples.image, evidence.samples.label
        if image is None:
            return {"lpips_diversity": Score(None)}
        pairs = _pairs(torch.zeros(len(image), dtype=torch.int64) if label is None else label)
        distance = torch.cat(
            [self.network(_ready(image[one]), _ready(image[two])).flatten() for one, two in zip(*pairs, strict=True)]
        )
        return {"lpips_diversity": Score(float(distance.double().mean()), from_influence(distance))}


def _network(path: Path, sha256: str) -> tuple[torch.nn.Module, str]:
    found = sha256_of(path)
    verify(path, found, sha256, "metric.lpips_diversity.sha256")
    # imported here: it takes seconds, which only this metric is worth
    from torchmetrics.functional.image.lpips import _LPIPS

    with torch.random.fork_rng(devices=[]):
        # torchmetrics' public class would download the backbone: this one takes a random one, to be filled
        network = _LPIPS(net="alex", pnet_rand=True)
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
        with torch.no_grad():
            for name, parameter in network.net.named_parameters():
                parameter.copy_(stored[f"features.{name.split('.', 1)[1]}"])
    except (KeyError, RuntimeError, TypeError, pickle.UnpicklingError) as error:
        raise ConfigError(
            f"{path} does not hold torchvision's AlexNet: give metric.lpips_diversity.weights the file "
            "alexnet-owt-7be5be79.pth"
        ) from error
    return network, found


def _pairs(label: Tensor) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Blocks of indices of the first and of the second of each pair; no sample in two pairs."""
    order = torch.randperm(len(label), generator=torch.Generator().manual_seed(0))
    of_class = [order[label[order] == value] for value in torch.unique(label)]
    one = torch.cat([members[0 : len(members) // 2 * 2 : 2] for members in of_class])
    two = torch.cat([members[1 : len(members) // 2 * 2 : 2] for members in of_class])
    if len(one) < 2:
        raise DataError(f"{len(label)} samples make {len(one)} pairs of one class: at least 2 pairs are needed")
    kept = torch.randperm(len(one), generator=torch.Generator().manual_seed(1))[:MOST_PAIRS]
    return torch.split(one[kept], BLOCK), torch.split(two[kept], BLOCK)


def _ready(image: Tensor) -> Tensor:
    """Colour floats in [-1,1], no side shorter than the network takes."""
    image = to_float(image).expand(-1, 3, -1, -1)
    side = min(image.shape[-2:])
    if side >= LEAST_SIDE:
        return image
    factor = LEAST_SIDE / side
    size = [max(LEAST_SIDE, round(length * factor)) for length in image.shape[-2:]]
    return F.interpolate(image, size, mode="bilinear", align_corners=False)
