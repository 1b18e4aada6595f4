"""Chunks of features and images on disk: whole and verified, or not there."""

import hashlib
import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from genbench.core import RunError
from genbench.core.files import write_atomically
from genbench.evaluation.sources.base import SamplingCost

_FORMAT = 1


@dataclass(frozen=True)
class Chunk:
    """Tensors by name, the first dimension of each counting the images, and what drawing them cost, if it is known."""

    tensors: dict[str, Tensor]
    cost: SamplingCost | None = None


@dataclass(frozen=True)
class ChunkStore:
    """Chunks of one content below `folder`, each a safetensors file written in one piece.

    `content` says everything that decides the images beside their seed and index, as far as the folder does not: the
    sha256 of stored pixels and labels; a model's weights, sampler, classes and rounding. Any number of processes may
    share a folder.
    """

    folder: Path
    content: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def home(self) -> Path:
        """The folder of this content."""
        return self.folder / _digest(dict(self.content))[:16]

    def get(self, kind: Mapping[str, Any], seed: int, indices: Sequence[int]) -> Chunk | None:
        """The chunk of these images, or None.

        A file that is cut short, changed, or not of this key is told in a warning and counts as absent.
        """
        path, key = self._address(kind, seed, indices)
        try:
            # read once: another process may replace or remove the file, and safe_open opens it twice
            content = path.read_bytes()
            tensors, header = load(content), _metadata(content)
            if header.get("key") != key:
                raise ValueError("it is of other images or another extractor")
            if header.get("sha256") != _sealed(header["key"], header["cost"], tensors):
                raise ValueError("its content does not have its sha256")
            cost = json.loads(header["cost"])
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
            warnings.warn(f"{path} cannot be used ({error}): it is made again", stacklevel=2)
            return None
        return Chunk(tensors, None if cost is None else SamplingCost(**cost))

    def put(self, kind: Mapping[str, Any], seed: int, indices: Sequence[int], chunk: Chunk) -> None:
        """Writes a chunk; a folder that cannot be written costs a warning and the chance to resume."""
        path, key = self._address(kind, seed, indices)
        cost = json.dumps(None if chunk.cost is None else asdict(chunk.cost), sort_keys=True)
        tensors = {name: tensor.contiguous() for name, tensor in chunk.tensors.items()}
        header = {"key": key, "cost": cost, "sha256": _sealed(key, cost, tensors)}
        try:
            write_atomically(path, save(tensors, header))
        except (RunError, OSError) as error:
            warnings.warn(f"{error}; judging goes on without", stacklevel=2)

    def _address(self, kind: Mapping[str, Any], seed: int, indices: Sequence[int]) -> tuple[Path, str]:
        numbers = hashlib.sha256(np.asarray(indices, dtype="<i8").tobytes()).hexdigest()
        key = {
            "format": _FORMAT, "content": dict(self.content), "kind": dict(kind), "seed": seed,
            "images": len(indices), "first": int(indices[0]), "indices": numbers,
        }  # fmt: skip
        name = f"{seed}-{int(indices[0]):08d}-{_digest(key)[:16]}.safetensors"
        return self.home / _digest(dict(kind))[:16] / name, _canonical(key)


def _metadata(content: bytes) -> dict[str, str]:
    """What a safetensors file says beside its tensors: JSON behind eight bytes of its length."""
    length = int.from_bytes(content[:8], "little")
    found: dict[str, str] = json.loads(content[8 : 8 + length]).get("__metadata__", {})
    return found


def _sealed(key: str, cost: str, tensors: Mapping[str, Tensor]) -> str:
    """The sha256 of all that a chunk says."""
    digest = hashlib.sha256(_canonical([key, cost]).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(_canonical([name, str(tensor.dtype), list(tensor.shape)]).encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _digest(value: Any) -> str:
    return hashlib.sha256(_canonical(value).encode()).hexdigest()
