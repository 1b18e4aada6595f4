"""The handwritten digits that come with scikit-learn: 1 797 real scans of 8x8 pixels and 17 grey levels.

Source: E. Alpaydin, C. Kaynak (1998), Optical Recognition of Handwritten Digits, UCI repository, test part.
"""

from functools import cached_property

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from genbench.core import ImageSpec
from genbench.core.pixels import from_levels, to_uint8
from genbench.data.dataset import ImageDataset, Split
from genbench.data.images import ImageTable, ResidentTable

_LEVELS = 17
_TEST_IMAGES = 360


class Digits(ImageDataset):
    """Digits 0 to 9, split once and for all into 1 437 training and 360 test images.

    The split is stratified by class and drawn by scikit-learn's `train_test_split` with random_state 0;
    within each part the images keep scikit-learn's order.
    """

    def __init__(self, spec: ImageSpec | None = None, flip: bool = False) -> None:
        super().__init__("digits", ImageSpec(1, 8, 8, num_classes=10, levels=_LEVELS), spec, flip)

    def table(self, split: Split) -> ImageTable:
        return self._tables[split]

    @cached_property
    def _tables(self) -> dict[Split, ResidentTable]:
        digits = load_digits()
        image = to_uint8(from_levels(torch.from_numpy(digits.images).unsqueeze(1), _LEVELS), _LEVELS)
        whole = ResidentTable(image, torch.from_numpy(digits.target).long())
        train, test = split_indices(digits.target)
        return {"train": whole.select(train.tolist()), "test": whole.select(test.tolist())}


def split_indices(label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sorted indices int64 of the 1 437 training and the 360 test images among scikit-learn's 1 797."""
    train, test = train_test_split(np.arange(len(label)), test_size=_TEST_IMAGES, stratify=label, random_state=0)
    return np.sort(train), np.sort(test)
