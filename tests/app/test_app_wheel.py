"""The wheel carries conf/, and works without the checkout."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The unpacked wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    pytest.importorskip("hatchling")
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as archive:
        archive.extractall(folder / "unpacked")
    return folder / "unpacked"


def run(wheel: Path, *arguments: str, cwd: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": str(wheel)}
    done = subprocess.run(
        [sys.executable, *arguments], env=environment, cwd=cwd, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_every_yaml_is_in_the_wheel(wheel):
    shipped = {p.relative_to(ROOT / "conf") for p in (ROOT / "conf").rglob("*.yaml")}
    assert {p.relative_to(wheel / "genbench" / "conf") for p in (wheel / "genbench" / "conf").rglob("*")} >= shipped
    assert shipped


def test_the_wheel_reads_its_own_conf(wheel, tmp_path):
    assert run(wheel, "-c", "import genbench; print(genbench.__file__)", cwd=tmp_path).startswith(str(wheel))
    (wheel / "genbench" / "conf" / "budget" / "mine.yaml").write_text("# only here\nimages: 123\nbatch_size: 4\n")
    assert "only here" in run(wheel, "-m", "genbench", "list", "budget", cwd=tmp_path)
    config = run(wheel, "-m", "genbench", "train", "budget=mine", "--cfg", "job", cwd=tmp_path)
    assert "  images: 123\n" in config
    assert "genbench.families.diffusion.Diffusion" in config
