"""When something is due that happens every so many images."""

from genbench.core import ConfigError


class Every:
    """Due whenever images seen pass a multiple of `images`; `option` is the config key that errors name.

    Multiples, not distances: a resumed training acts at the same image counts as an undisturbed one.
    """

    def __init__(self, images: int, option: str) -> None:
        if images < 1:
            raise ConfigError(f"training.{option} is {images}; expected a number of images, 1 or more")
        self.images = images
        self._last = 0

    def start(self, images_seen: int) -> None:
        """Begins at an image count, which is not due itself."""
        self._last = images_seen

    def due(self, images_seen: int) -> bool:
        """Whether a multiple lies in (last count asked about, `images_seen`]."""
        passed = self.passes(images_seen)
        self._last = images_seen
        return passed

    def passes(self, images_seen: int) -> bool:
        """What `due` would say, which may be asked again."""
        return images_seen // self.images > self._last // self.images
