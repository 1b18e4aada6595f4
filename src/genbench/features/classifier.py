"""The small classifier behind domain extractors: its network, and the file that carries its weights and record."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save
from torch import Tensor, nn

from genbench.core import ConfigError
from genbench.core.files import write_atomically

HEADER = "domain_classifier"
SMALLEST, INSIDE, LARGEST = 4, 16, 32
"""Pixels a side: the least the network takes, the most behind its first layer, the most it looks at."""

Record = dict[str, Any]
"""How a classifier was made and tested, as JSON values; `architecture` and `weights_sha256` among them."""


@dataclass(frozen=True)
class Architecture:
    """Everything needed to rebuild the network of a weights file; kept in the file's header."""

    channels: int
    height: int
    width: int
    classes: int
    hidden: int = 32
    features: int = 64

    @property
    def looked_at(self) -> tuple[int, int]:
        """Height and width the images are averaged down to, where they are larger."""
        shrink = -(-max(self.height, self.width) // LARGEST)
        return -(-self.height // shrink), -(-self.width // shrink)

    @property
    def stride(self) -> int:
        """Of the first convolution."""
        return -(-max(self.looked_at) // INSIDE)


class ClassifierNet(nn.Module):
    """Four convolutions and two linear layers: images in [-1,1] to features [B,D] and logits [B,K].

    The features are the activations before the last layer, as in Inception's FID. Images of more than 32 pixels
    a side are averaged down to that first.

    Raises:
        ConfigError: images of fewer than 4 pixels a side.
    """

    def __init__(self, arch: Architecture) -> None:
        super().__init__()
        if min(arch.height, arch.width) < SMALLEST:
            raise ConfigError(
                f"a classifier cannot tell images of {arch.height}x{arch.width} pixels apart; expected at least "
                f"{SMALLEST}x{SMALLEST}: use data of larger images"
            )
        self.arch = arch
        wide = 2 * arch.hidden
        self.shrink = nn.AdaptiveAvgPool2d(arch.looked_at) if max(arch.height, arch.width) > LARGEST else nn.Identity()
        self.body = nn.Sequential(
            *_convolution(arch.channels, arch.hidden, arch.stride),
            *_convolution(arch.hidden, arch.hidden),
            nn.MaxPool2d(2, ceil_mode=True),
            *_convolution(arch.hidden, wide),
            *_convolution(wide, wide),
            nn.AdaptiveMaxPool2d(2),
            nn.Flatten(),
            nn.Linear(4 * wide, arch.features),
            nn.SiLU(),
        )
        self.head = nn.Linear(arch.features, arch.classes)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        return self.look(self.shrink(image))

    def look(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """As `forward`, of images that are shrunk already."""
        features = self.body(image)
        return features, self.head(features)


def _convolution(inputs: int, outputs: int, stride: int = 1) -> list[nn.Module]:
    # a kernel of two strides, so that a larger stride overlooks no pixel
    convolution = nn.Conv2d(inputs, outputs, 2 * stride + 1, stride, padding=stride, bias=False)
    return [convolution, nn.BatchNorm2d(outputs), nn.ReLU()]


def write_classifier(path: Path, net: ClassifierNet, record: Record) -> None:
    """Writes weights and record as one safetensors file, whole or not at all; equal ones give equal bytes.

    Raises:
        RunError: it cannot be written.
    """
    facts = {**record, "architecture": asdict(net.arch), "weights_sha256": _weights_sha256(net.state_dict())}
    # one JSON value, so that the header's bytes do not depend on any order
    write_atomically(path, save(net.state_dict(), {HEADER: json.dumps(facts, sort_keys=True)}))


def read_classifier(path: Path) -> tuple[ClassifierNet, Record]:
    """The network of a file, with its weights, and its record.

    Raises:
        ConfigError: a file that is absent, of something else, damaged or changed.
    """
    record = read_record(path)
    try:
        net = ClassifierNet(Architecture(**record["architecture"]))
        state = load(path.read_bytes())
        net.load_state_dict(state)
        found = _weights_sha256(state)
    except (SafetensorError, KeyError, TypeError, RuntimeError, OSError) as error:
        raise _foreign(path) from error
    if found != record.get("weights_sha256"):
        raise ConfigError(
            f"{path} holds other weights than were written into it (sha256 {found[:8]}, its header says "
            f"{str(record.get('weights_sha256'))[:8]}): fit it again with `genbench features fit data=... out=NEW_FILE`"
        )
    return net, record


def read_record(path: Path) -> Record:
    """What the header of a classifier's file says: its network, and how it was made and tested.

    Raises:
        ConfigError: not a safetensors file, or one of something else.
    """
    try:
        with safe_open(path, framework="pt") as file:
            record: Record = json.loads(file.metadata()[HEADER])
    except (SafetensorError, KeyError, TypeError, ValueError, OSError) as error:
        raise _foreign(path) from error
    return record


def _foreign(path: Path) -> ConfigError:
    return ConfigError(
        f"{path} is not a domain classifier (a safetensors file with the header {HEADER}): "
        "give features.weights a file that `genbench features fit data=...` wrote"
    )


def _weights_sha256(state: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, value in sorted(state.items()):
        digest.update(f"{name} {value.dtype} {list(value.shape)}".encode())
        digest.update(value.detach().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
