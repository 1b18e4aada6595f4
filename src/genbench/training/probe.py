"""torchmetrics' FID, KID and IS of a few images, to watch a model while it trains."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.inception import InceptionScore
from torchmetrics.image.kid import KernelInceptionDistance

from genbench.core import DataError

KID_SUBSETS = 20
KID_SUBSET_SIZE = 250
IS_SPLITS = 5


class Probe:
    """`fd`, `kid` and `is` (only over extractors with classes) of uint8 images against `real` ones, both [N,C,H,W].

    `extractor` gives `features` [B,D] and `logits` [B,K] of a batch, K = 0 without classes. The real images pass
    through it once, here. Numbers are functions of the images alone: neither the global random stream nor earlier
    calls play a part.

    Raises:
        DataError: fewer than two real images.
    """

    def __init__(self, extractor: nn.Module, real: Tensor, batch: int = 250) -> None:
        if len(real) < 2:
            raise DataError(
                f"previews compare with at least 2 real images, here are {len(real)}: add images, or set "
                "training.preview_every=null"
            )
        self.batch = batch
        shared = _Shared(extractor)
        with torch.no_grad():
            out = shared(real[:1])
        size = min(KID_SUBSET_SIZE, len(real))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that all features are kept: they are few
            # a preview is whole in each process that draws it: there is nothing to put together in `compute`
            self.fid = FrechetInceptionDistance(
                _Output(shared, out, "features"), reset_real_features=False, sync_on_compute=False
            )
            self.kid = KernelInceptionDistance(
                _Output(shared, out, "features"), KID_SUBSETS, size, reset_real_features=False, sync_on_compute=False
            )
            self.inception = (
                InceptionScore(_Output(shared, out, "logits"), IS_SPLITS, sync_on_compute=False)
                if out["logits"].shape[1]
                else None
            )
        for images in torch.split(real, batch):
            self.fid.update(images, real=True)
            self.kid.update(images, real=True)

    def __call__(self, images: Tensor) -> dict[str, float]:
        """The numbers of generated images.

        Raises:
            DataError: fewer of them than a subset of KID has.
        """
        if len(images) < self.kid.subset_size:
            raise DataError(f"{len(images)} generated images are too few: expected {self.kid.subset_size} or more")
        metrics = [metric for metric in (self.fid, self.kid, self.inception) if metric is not None]
        for metric in metrics:
            metric.reset()
        for part in torch.split(images, self.batch):
            self.fid.update(part, real=False)
            self.kid.update(part, real=False)
            if self.inception is not None:
                self.inception.update(part)
        # torchmetrics draws subsets from the CPU's global stream; `torch.manual_seed` would also seed every GPU
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)
            numbers = {"fd": float(self.fid.compute()), "kid": float(self.kid.compute()[0])}
            if self.inception is not None:
                numbers["is"] = float(self.inception.compute()[0])
        return numbers


class _Shared(nn.Module):
    """An extractor that remembers its last batch, so that several metrics cost one pass; results are on the CPU."""

    def __init__(self, extractor: nn.Module) -> None:
        super().__init__()
        self.extractor = extractor
        self._last: tuple[Tensor, dict[str, Tensor]] | None = None

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        if self._last is None or self._last[0] is not image:
            device = next((p.device for p in self.extractor.parameters()), image.device)
            # float64, because the polynomial kernel's sums cancel
            out = {name: value.double().cpu() for name, value in self.extractor(image.to(device)).items()}
            self._last = (image, out)
        return self._last[1]


class _Output(nn.Module):
    """One output of a shared extractor, in the form of torchmetrics' `feature` networks; `example` tells its width."""

    def __init__(self, shared: _Shared, example: dict[str, Tensor], name: str) -> None:
        super().__init__()
        self.shared, self.name = shared, name
        self.num_features = example[name].shape[1]

    def forward(self, image: Tensor) -> Tensor:
        output: Tensor = self.shared(image)[self.name]
        return output
