"""The same weights and image files for every library."""

from pathlib import Path

import pytest
from PIL import Image
from random_inception import Weights, make_images, make_weights


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Weights:
    return make_weights(tmp_path_factory.mktemp("inception"))


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two folders of 68 PNGs: more than the 64 features that are compared, so that covariances are regular."""
    root = tmp_path_factory.mktemp("folders")
    for name, image in (("samples", make_images(68, 1)), ("real", make_images(68, 2, low=20))):
        (root / name).mkdir()
        for i, one in enumerate(image):
            Image.fromarray(one.permute(1, 2, 0).numpy()).save(root / name / f"{i:03}.png")
    return root / "samples", root / "real"
