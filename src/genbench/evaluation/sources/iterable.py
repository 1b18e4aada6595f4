"""Images of any generator that Python can call."""

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from genbench.core import DataError, ImageSpec
from genbench.evaluation.sources.base import ImageSource

Batches = Iterable[Tensor | tuple[Tensor, Tensor | None]]
"""Uint8 images [B,C,H,W], alone or with labels int64 [B]; B may differ from batch to batch."""


class IterableSource(ImageSource):
    """Batches of an iterable, in their order: exactly as many images as the protocol asks for, for one judgement.

    With `spec` their shape is checked against the data's. More images than asked for are left in the iterable.
    """

    def __init__(self, batches: Batches, name: str, spec: ImageSpec | None = None) -> None:
        super().__init__(name, None, once=True)
        self.shape = None if spec is None else spec.shape
        self._batches: Iterator[Tensor | tuple[Tensor, Tensor | None]] = iter(batches)
        self._image: Tensor | None = None
        self._label: Tensor | None = None
        self._next = 0

    def draw(self, seed: int, indices: Sequence[int]) -> tuple[Tensor, Tensor | None]:
        """The next images of the iterable.

        Raises:
            DataError: a second judgement, too few images, or batches that are not uint8 images of one shape.
        """
        if list(indices) != list(range(self._next, self._next + len(indices))):
            raise DataError(
                f"{self.name} is an iterable, read up to image {self._next}, and image {indices[0]} is asked for: it "
                "can be judged once, in order and by one process; write its images to an npz to judge them again"
            )
        n = len(indices)
        while self._image is None or len(self._image) < n:
            self._read(wanted=self._next + n)
        image, self._image = self._image[:n], self._image[n:]
        label, self._label = (None, None) if self._label is None else (self._label[:n], self._label[n:])
        self._next += n
        return image, label

    def _read(self, wanted: int) -> None:
        here = self._next + (0 if self._image is None else len(self._image))
        try:
            batch = next(self._batches)
        except StopIteration:
            raise DataError(
                f"{self.name} gave {here} images, image {wanted} is asked for: let it give more, or set "
                f"protocol.samples={here} or less"
            ) from None
        image, label = batch if isinstance(batch, tuple) else (batch, None)
        place = f"{self.name}, the batch from image {here} on"
        image = self._checked(image, place)
        if label is not None:
            label = _checked_label(label, len(image), place)
        if here > 0 and (label is None) != (self._label is None):
            raise DataError(f"{place}: some batches have labels and some none; give all of them labels, or none")
        self._image = image if self._image is None else torch.cat([self._image, image])
        self._label = label if self._label is None or label is None else torch.cat([self._label, label])

    def _checked(self, image: Tensor, place: str) -> Tensor:
        if not isinstance(image, Tensor) or image.dtype != torch.uint8:
            found = image.dtype if isinstance(image, Tensor) else type(image).__name__
            raise DataError(
                f"{place}: images are {found}; expected a uint8 tensor, 0 to 255, such as "
                "((x + 1) * 127.5).round().clamp(0, 255).to(torch.uint8) of x in [-1, 1]"
            )
        if image.ndim != 4 or image.shape[1] not in (1, 3) or not image.numel():
            raise DataError(
                f"{place}: images have shape {tuple(image.shape)}; expected (batch, 1 or 3 channels, height, width)"
            )
        if self.shape is not None and tuple(image.shape[1:]) != self.shape:
            raise DataError(
                f"{place}: images have shape {tuple(image.shape[1:])}; expected {tuple(self.shape)} (channels, height, "
                "width), as the batches before or the data have"
            )
        self.shape = (image.shape[1], image.shape[2], image.shape[3])
        return image.cpu()


def _checked_label(label: Tensor, n: int, place: str) -> Tensor:
    if not isinstance(label, Tensor) or label.is_floating_point() or tuple(label.shape) != (n,):
        found = f"{label.dtype} of shape {tuple(label.shape)}" if isinstance(label, Tensor) else type(label).__name__
        raise DataError(f"{place}: labels are {found}; expected integers of shape ({n},), one an image")
    return label.cpu().long()
