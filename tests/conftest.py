"""What every test shares: a cache of its own session, so that none reads or fills the user's."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    before = os.environ.get("GENBENCH_CACHE")
    os.environ["GENBENCH_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    os.environ.pop("GENBENCH_CACHE")
    if before is not None:
        os.environ["GENBENCH_CACHE"] = before


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first, by the time they may take, so that no process is left alone with one at the end."""
    items.sort(key=lambda item: (-_limit(item), item.get_closest_marker("slow") is None))


def _limit(item: pytest.Item) -> float:
    marker = item.get_closest_marker("timeout")
    return float(marker.args[0] if marker else item.config.getini("timeout"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real images beside the repository, where there are any."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no real images beside the repository")
    return folder
