"""Small folders of images, and what packing makes of them."""

from pathlib import Path

import numpy as np
from PIL import Image

from genbench.data.pack import Packing, pack

SMALL = Packing(shard_images=10)


def fill(root: Path, n: int = 50) -> Path:
    """Three classes of `n` files of different sizes, half of them JPEG."""
    rng = np.random.default_rng(2)
    for kind in ("owl", "cat", "dog"):
        (root / kind).mkdir(parents=True)
        for i in range(n):
            pixels = rng.integers(0, 256, (rng.integers(6, 12), rng.integers(6, 12), 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / kind / f"{i:02}.part.{'jpg' if i % 2 else 'png'}")
    return root


def packed(tmp_path: Path, n: int = 50) -> tuple[Path, Path]:
    """A folder of images, and the shards it was packed into."""
    source, out = fill(tmp_path / "source", n), tmp_path / "packed"
    pack(source, out, SMALL)
    return source, out
