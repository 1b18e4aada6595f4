"""A small classifier of the data's own classes as feature extractor, for images Inception was not made for."""

from pathlib import Path

from torch import Tensor

from genbench.core import ConfigError, DataError, ImageSpec
from genbench.features.base import FeatureExtractor
from genbench.features.classifier import read_classifier
from genbench.features.files import sha256_of

SHIPPED = Path(__file__).parent / "weights"


class DomainClassifier(FeatureExtractor):
    """A classifier fitted to the data itself; distances over it are not comparable with anyone's FID.

    `weights` is a file of `genbench features fit`, called after its data unless `name` says otherwise;
    without it the shipped one of `name`.

    Raises:
        ConfigError: no such weights, or a file that is not a domain classifier, or was changed.
    """

    def __init__(self, name: str | None = None, weights: Path | str | None = None) -> None:
        path = SHIPPED / f"{name or 'digits'}.safetensors" if weights is None else Path(weights)
        fingerprint = sha256_of(path)
        network, record = read_classifier(path)
        super().__init__(name or str(record["data"]), fingerprint, "bytes / 127.5 - 1", classifies=True)
        self.network, self.record, self.arch = network, record, network.arch
        self.freeze()

    def check(self, spec: ImageSpec) -> None:
        a = self.arch
        if spec.shape != (a.channels, a.height, a.width) or spec.num_classes != a.classes:
            pixels = "features=pixels protocol=shapes where captions are judged, or " if spec.captions else ""
            others = f"features=inception, data={self.name}, or a classifier of this data (genbench features fit)"
            raise ConfigError(
                f"features={self.name} judges {a.height}x{a.width}x{a.channels} images of {a.classes} classes, but "
                f"the data has {spec.height}x{spec.width}x{spec.channels} images of {spec.num_classes} classes: "
                f"use {pixels}{others}"
            )

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        self.require_bytes(image)
        expected = (self.arch.channels, self.arch.height, self.arch.width)
        if tuple(image.shape[1:]) != expected:
            raise DataError(
                f"features={self.name} judges images of shape {expected}, these are {tuple(image.shape[1:])} "
                "(channels, height, width): use features=inception"
            )
        features, logits = self.network(image.float() / 127.5 - 1.0)
        return {"features": features, "logits": logits}
