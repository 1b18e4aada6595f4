import shutil
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real images beside the repository, where there is one."""
    folder = Path(__file__).parents[3] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no real images beside the repository")
    return folder


@pytest.fixture(scope="session")
def fashion_root(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A writable copy of Fashion-MNIST's archives, as torchvision unpacks them in place."""
    root = tmp_path_factory.mktemp("fashion")
    raw = root / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for archive in (real_data / "fashion_mnist" / "FashionMNIST" / "raw").glob("*.gz"):
        shutil.copyfile(archive, raw / archive.name)
    return root
