"""The Inception-v3 of published FID and IS: TensorFlow's 2015-12-05 graph, as ported by torch-fidelity."""

import hashlib
import io
import pickle
from pathlib import Path
from typing import Any, Literal
from urllib.error import URLError

import torch
from torch import Tensor, nn
from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3, FeatureExtractorInceptionV3

from genbench.core import ConfigError, ImageSpec
from genbench.features.base import FeatureExtractor
from genbench.features.files import verify
from genbench.features.resize import CONVENTIONS, Convention, to_inception

PUBLISHED_SHA256 = "6726825d"
"""The first 8 hex digits, as torch hub writes them into the file's name."""


class Inception(FeatureExtractor):
    """Pooled features [B,2048] and logits without bias [B,1008]; grey images are repeated to RGB.

    `weights` is the published file; without it torch hub's cache is used, and with `download` filled.
    Another file needs its `sha256` (at least 8 hex digits) and is not comparable with published numbers.
    The sum is checked before the file is parsed, and parsing runs no code from it.

    `resize` is the convention of `to_inception`. `precision` bfloat16 computes the convolutions in it, which
    moves every score a little and gives the extractor another name. `channels_last` and `compile` are for speed and
    only reorder sums of floats.

    Raises:
        ConfigError: weights that are absent, of another sum, or not this network's.
    """

    def __init__(
        self,
        weights: Path | str | None = None,
        sha256: str = PUBLISHED_SHA256,
        download: bool = False,
        resize: Convention = "tf1",
        precision: Literal["float32", "bfloat16"] = "float32",
        channels_last: bool = False,
        compile: bool = False,
    ) -> None:
        content = _verified(published(download) if weights is None else Path(weights), sha256)
        fingerprint = hashlib.sha256(content).hexdigest()
        super().__init__(
            _name(fingerprint, precision),
            fingerprint,
            f"grey repeated to RGB, {CONVENTIONS[resize]}",
            classifies=False,
            precision=precision,
        )
        self.resize: Convention = resize
        # its own forward ties the network to one way of resizing; its children stand in the order they are used
        *body, pool, head = _network(content).children()
        self.body, self.pool, self.head = nn.Sequential(*body), pool, head
        self.layout = torch.channels_last if channels_last else torch.contiguous_format
        self.body.to(memory_format=self.layout)
        self.freeze()
        if compile:
            self.body.compile()

    def check(self, spec: ImageSpec) -> None:
        """Any size will do: images are resized to 299x299."""

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        self.require_bytes(image)
        features = self.features(to_inception(image.expand(-1, 3, -1, -1), self.resize))
        return {"features": features, "logits": features @ self.head.weight.T}

    def features(self, x: Tensor) -> Tensor:
        """Float32 [B,2048] of images that are resized and scaled already, [B,3,299,299]."""
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.precision == "bfloat16"):
            x = self.body(x.contiguous(memory_format=self.layout))
        # the mean in float32: eight bits of mantissa are too few
        pooled: Tensor = self.pool(x.float())
        return pooled.flatten(1)


def _name(fingerprint: str, precision: str) -> str:
    """`inception` for what published numbers were made with, and what differs from it otherwise."""
    other = [] if fingerprint.startswith(PUBLISHED_SHA256) else [fingerprint[:8]]
    return "-".join(["inception", *other, *([] if precision == "float32" else [precision])])


def published(download: bool) -> Path:
    """The published weights in torch hub's cache.

    Raises:
        ConfigError: they are not there and may not, or cannot, be downloaded.
    """
    path = Path(str(torch.hub.get_dir()), "checkpoints", URL_INCEPTION_V3.rsplit("/", 1)[1])
    if path.exists():
        return path
    fix = f"fetch {URL_INCEPTION_V3} where there is a network and set features.weights=FILE"
    if not download:
        raise ConfigError(f"the Inception weights are not here: {fix}, or set features.download=true")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        torch.hub.download_url_to_file(URL_INCEPTION_V3, str(path), hash_prefix=PUBLISHED_SHA256)
    except (URLError, OSError, RuntimeError) as error:
        raise ConfigError(f"the Inception weights cannot be downloaded ({error}): {fix}") from error
    return path


def _verified(path: Path, sha256: str) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"weights file {path} cannot be read ({error.strerror}): set features.weights to the file from "
            f"{URL_INCEPTION_V3}"
        ) from error
    found = hashlib.sha256(content).hexdigest()
    verify(path, found, sha256, "features.sha256")
    return content


def _network(content: bytes) -> FeatureExtractorInceptionV3:
    try:
        state: dict[str, Any] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        # torch-fidelity unpickles whatever it is given, so it gets tensors that we wrote ourselves
        clean = io.BytesIO()
        torch.save(state, clean)
        clean.seek(0)
        return FeatureExtractorInceptionV3(
            "inception-v3-compat", ["2048", "logits_unbiased"], feature_extractor_weights_path=clean
        )
    except (pickle.UnpicklingError, RuntimeError, TypeError, EOFError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(
            f"features.weights is not a state dict of Inception-v3 ({reason}): use the file from {URL_INCEPTION_V3}"
        ) from error
