"""Facts about a dataset's images, the only thing a model needs to know of its data."""

from dataclasses import dataclass

from genbench.core.errors import ConfigError


@dataclass(frozen=True)
class ImageSpec:
    """Shape, classes and grey levels of a dataset's images, or of their latents, which have any number of channels.

    `num_classes` is 0 for data without labels. `levels` is the number of distinct values a pixel takes
    (256 for ordinary 8-bit images, 17 for scikit-learn's digits).

    Raises:
        ConfigError: a value no dataset can have.
    """

    channels: int
    height: int
    width: int
    num_classes: int = 0
    levels: int = 256
    captions: bool = False

    def __post_init__(self) -> None:
        if self.channels < 1:
            raise ConfigError(f"spec.channels is {self.channels}; expected 1 (grey) or 3 (RGB), or any of latents")
        if self.height < 1 or self.width < 1:
            raise ConfigError(f"spec size is {self.height}x{self.width}; expected at least 1x1")
        if not 2 <= self.levels <= 256:
            raise ConfigError(f"spec.levels is {self.levels}; expected 2 to 256")
        if self.num_classes < 0:
            raise ConfigError(f"spec.num_classes is {self.num_classes}; expected 0 (no labels) or more")

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return (self.channels, self.height, self.width)

    @property
    def dims(self) -> int:
        """Values per image, C*H*W: the D of bits per dimension."""
        return self.channels * self.height * self.width
