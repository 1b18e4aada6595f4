"""A small classifier of the data's own classes as feature extractor, for images Inception was not made for."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from genbench.core import ConfigError, DataError, ImageSpec
from genbench.features.base import FeatureExtractor
from genbench.features.files import sha256_of

SHIPPED = Path(__file__).parent / "weights"


@dataclass(frozen=True)
class Architecture:
    """Everything needed to rebuild the network of a weights file; kept in the file's header."""

    channels: int
    height: int
    width: int
    classes: int
    hidden: int = 32
    features: int = 64


class ClassifierNet(nn.Module):
    """Four convolutions and two linear layers: images in [-1,1] to features [B,D] and logits [B,K].

    The features are the activations before the last layer, as in Inception's FID.
    """

    def __init__(self, arch: Architecture) -> None:
        super().__init__()
        wide = 2 * arch.hidden
        self.body = nn.Sequential(
            *_convolution(arch.channels, arch.hidden),
            *_convolution(arch.hidden, arch.hidden),
            nn.MaxPool2d(2),
            *_convolution(arch.hidden, wide),
            *_convolution(wide, wide),
            nn.AdaptiveMaxPool2d(2),
            nn.Flatten(),
            nn.Linear(4 * wide, arch.features),
            nn.SiLU(),
        )
        self.head = nn.Linear(arch.features, arch.classes)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        features = self.body(image)
        return features, self.head(features)


def _convolution(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]


class DomainClassifier(FeatureExtractor):
    """A classifier trained on the data itself; distances over it are not comparable with anyone's FID.

    `weights` is a safetensors file whose header names the network (default: the shipped one of `name`).

    Raises:
        ConfigError: no such weights, or a file that is not a domain classifier.
    """

    def __init__(self, name: str = "digits", weights: Path | str | None = None) -> None:
        path = SHIPPED / f"{name}.safetensors" if weights is None else Path(weights)
        super().__init__(name, sha256_of(path), "bytes / 127.5 - 1", classifies=True, comparable=False)
        self.record = read_record(path)
        self.arch = Architecture(**self.record["architecture"])
        self.network = ClassifierNet(self.arch)
        self.network.load_state_dict(load_file(path))
        self.freeze()

    def check(self, spec: ImageSpec) -> None:
        a = self.arch
        if spec.shape != (a.channels, a.height, a.width) or spec.num_classes != a.classes:
            raise ConfigError(
                f"features={self.name} judges {a.height}x{a.width}x{a.channels} images of {a.classes} classes, but "
                f"the data has {spec.height}x{spec.width}x{spec.channels} images of {spec.num_classes} classes: "
                f"use features=inception, or data={self.name}"
            )

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        expected = (self.arch.channels, self.arch.height, self.arch.width)
        if tuple(image.shape[1:]) != expected:
            raise DataError(
                f"features={self.name} judges images of shape {expected}, these are {tuple(image.shape[1:])} "
                "(channels, height, width): use features=inception"
            )
        features, logits = self.network(image.float() / 127.5 - 1.0)
        return {"features": features, "logits": logits}


def header(arch: Architecture, record: dict[str, Any]) -> dict[str, str]:
    """Safetensors metadata of a classifier; one JSON value, so that its bytes do not depend on any order."""
    return {"domain_classifier": json.dumps({"architecture": asdict(arch), **record}, sort_keys=True)}


def read_record(path: Path) -> dict[str, Any]:
    """What the header of a classifier's weights says: its network, and how it was made and tested.

    Raises:
        ConfigError: not a safetensors file, or one of something else.
    """
    try:
        with safe_open(path, framework="pt") as file:
            record: dict[str, Any] = json.loads(file.metadata()["domain_classifier"])
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"{path} is not a domain classifier (a safetensors file with the header domain_classifier): "
            "give features.weights a file written by scripts/train_digits_classifier.py, or leave it out"
        ) from error
    return record
