"""Reference statistics as files that other evaluators read and write: npz with `mu` and `sigma`."""

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from genbench.core import DataError
from genbench.core.files import write_atomically
from genbench.metrics.moments import Moments

_UNREADABLE = (OSError, EOFError, ValueError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class Statistics:
    """Moments with the sha256 of their images, or of their own bytes where a file tells no other.

    `extractor` are the facts of the extractor that made them, None where the file does not say.
    """

    moments: Moments
    sha256: str
    extractor: Mapping[str, Any] | None


def write_statistics(path: Path, statistics: Statistics) -> None:
    """Writes `mu` [D] and `sigma` [D,D] in float64, as pytorch-fid and clean-fid read them, and our own facts.

    Raises:
        RunError: the file cannot be written.
    """
    moments = statistics.moments
    facts = {
        "count": moments.count,
        "sha256": statistics.sha256,
        "extractor": None if statistics.extractor is None else dict(statistics.extractor),
        "moments_sha256": moments_sha256(moments),
    }
    content = io.BytesIO()
    np.savez(content, mu=moments.mean.numpy(), sigma=moments.covariance.numpy(), genbench=json.dumps(facts))
    write_atomically(path, content.getvalue())


def read_statistics(path: Path) -> Statistics:
    """Statistics of any evaluator that writes `mu` and `sigma`; nothing in the file is unpickled.

    Raises:
        DataError: a file that cannot be read, holds something else, or was changed after it was written.
    """
    arrays = _arrays(path)
    missing = {"mu", "sigma"} - arrays.keys()
    if missing:
        raise DataError(
            f"{path} has no {' and no '.join(sorted(missing))} but {', '.join(sorted(arrays)) or 'nothing'}; give an "
            "npz with mu and sigma, as genbench, pytorch-fid and clean-fid write it"
        )
    moments = _checked(arrays["mu"], arrays["sigma"], path)
    digest = moments_sha256(moments)
    if "genbench" not in arrays:
        return Statistics(moments, digest, None)
    try:
        facts = json.loads(str(arrays["genbench"]))
        count, sha256, extractor = facts["count"], facts["sha256"], facts["extractor"]
        intact = facts["moments_sha256"] == digest
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}, key genbench: cannot be read ({error}); export the reference again") from error
    if not intact:
        raise DataError(f"{path}: mu or sigma are not those it was written with; export the reference again")
    return Statistics(Moments(moments.mean, moments.covariance, count), sha256, extractor)


def moments_sha256(moments: Moments) -> str:
    """Hex sha256 of mean and covariance, float64 in little-endian order."""
    digest = hashlib.sha256()
    for part in (moments.mean, moments.covariance):
        digest.update(part.contiguous().numpy().astype("<f8").tobytes())
    return digest.hexdigest()


def _arrays(path: Path) -> dict[str, np.ndarray]:
    if not path.is_file():
        raise DataError(f"{path} does not exist; give an npz with mu and sigma")
    try:
        with np.load(path, allow_pickle=False) as archive:
            # ADM's files hold other statistics beside, which may be large
            return {key: archive[key] for key in archive.files if key in ("mu", "sigma", "genbench")} | {
                key: np.empty(0) for key in archive.files if key not in ("mu", "sigma", "genbench")
            }
    except (AttributeError, TypeError) as error:  # a bare array has no files and nothing to close
        raise DataError(f"{path} is a single array, not an npz; give an npz with mu and sigma") from error
    except _UNREADABLE as error:
        raise DataError(f"{path} is not an npz of arrays, or is cut short ({error}); make it again") from error


def _checked(mu: np.ndarray, sigma: np.ndarray, path: Path) -> Moments:
    if mu.dtype.kind != "f" or sigma.dtype.kind != "f" or mu.ndim != 1 or sigma.shape != (*mu.shape, *mu.shape):
        raise DataError(
            f"{path}: mu is {mu.dtype} of shape {mu.shape}, sigma {sigma.dtype} of shape {sigma.shape}; expected "
            "floats of shapes (D,) and (D, D)"
        )
    if not np.isfinite(mu).all() or not np.isfinite(sigma).all():
        raise DataError(f"{path}: mu or sigma hold NaN or infinite values; make the statistics again")
    mean, covariance = torch.from_numpy(mu.astype(np.float64)), torch.from_numpy(sigma.astype(np.float64))
    skew = float((covariance - covariance.T).abs().max())
    # room for statistics that were summed in float32
    if skew > 1e-5 * float(covariance.abs().max()) or float(covariance.diagonal().min()) < 0.0:
        raise DataError(
            f"{path}: sigma is no covariance (asymmetry up to {skew:.2g}, least variance "
            f"{float(covariance.diagonal().min()):.2g}); make the statistics again"
        )
    return Moments(mean, covariance, None)
