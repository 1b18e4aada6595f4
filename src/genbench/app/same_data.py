"""Whether all processes of a training have the same images."""

from __future__ import annotations

import json
import platform
from collections import Counter

from genbench.core import DataError
from genbench.data.dataset import ImageDataset
from genbench.evaluation.ranks import from_all, together

NAMED = 4
"""Processes that an error names; their machine is likely to have more of them."""


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
