"""Whether a training has the images that it had, and all of its processes the same."""

from __future__ import annotations

import json
import logging
import platform
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genbench.core import DataError
from genbench.data.dataset import ImageDataset
from genbench.evaluation.ranks import from_all, together
from genbench.identity import identity
from genbench.run import TEST, TRAIN, Run

log = logging.getLogger(__name__)

NAMED = 4
"""Processes that an error names; their machine is likely to have more of them."""


def deciding_images(dataset: ImageDataset, config: Mapping[str, Any]) -> dict[str, str]:
    """The fingerprints of images that decide the weights: training images, and those that previews select by.

    Raises:
        DataError: the processes have other training images.
    """
    found = {TRAIN: same_images(dataset)}
    if config["training"]["select"] is not None and config["protocol"]["reference"] == "train":
        found[TEST] = dataset.table("test").fingerprint()  # selected by what they are not reported against
    return found


def tell_of_other_images(folder: Path, config: Mapping[str, Any], images: Mapping[str, str]) -> None:
    """Warns where a default run folder is new, and one beside it was begun alike, but of other images.

    They may be the same for whoever copied them: the fingerprint of files that memory cannot hold has their times.
    """
    alike = f"{folder.name.rpartition('-')[0]}-*"
    for other in [] if folder.exists() else sorted(folder.parent.glob(alike)):
        run = Run(other)
        if not (other / "config.yaml").is_file() or run.finished:
            continue
        if run.identity == identity(config):
            log.warning(
                "%s is unfinished, of the same config but other images (sha256 %s there, %s here), and this begins "
                "another: if they are the same files, copy them with their times (rsync -a)",
                *(other, run.images.get(TRAIN), images[TRAIN]),
            )


def same_images(dataset: ImageDataset) -> str:
    """The fingerprint of the training images, which all processes are seen to share.

    Raises:
        DataError: in every process, naming those that have other images than most.
    """
    with together("read the training images"):
        table = dataset.table("train")
        fingerprint = table.fingerprint()
    mine = json.dumps({"images": f"{len(table)} images (sha256 {fingerprint[:16]})", "machine": platform.node()})
    found = [json.loads(said) for said in from_all("compare the training images", mine)]
    (usual, _), *others = Counter(each["images"] for each in found).most_common()
    if others:
        odd = [(rank, each) for rank, each in enumerate(found) if each["images"] != usual]
        named = ", ".join(f"rank {rank} on {each['machine']} has {each['images']}" for rank, each in odd[:NAMED])
        raise DataError(
            f"{dataset.name}: {len(odd)} of {len(found)} processes have other training images than {usual}: {named}"
            f"{' and more' if len(odd) > NAMED else ''}: give every machine the same files with the same times "
            "(rsync -a), or one folder that all of them see"
        )
    return fingerprint
