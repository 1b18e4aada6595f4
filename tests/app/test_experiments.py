"""Every experiment composes, builds, and says in its header what to type, what it costs and what it reached."""

import pytest

from genbench.app.build import build, resolve
from genbench.app.compose import compose
from genbench.app.paths import conf_dir
from genbench.app.rules import check_rules
from genbench.app.validate import validate_config
from genbench.core import GenerativeModel

EXPERIMENTS = sorted(path.stem for path in (conf_dir() / "experiment").glob("*.yaml"))


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_headers_are_complete(name: str) -> None:
    header = [line for line in (conf_dir() / "experiment" / f"{name}.yaml").read_text().splitlines() if line[:1] == "#"]
    assert f"genbench train experiment={name}" in "\n".join(header)
    assert any(line.startswith("# cost: ") for line in header)
    results = [line for line in header if line.startswith(("# measured: ", "# published: "))]
    assert len(results) == 1
    assert results[0].startswith("# measured: ") != results[0].endswith(", not run here")


@pytest.mark.parametrize("name", [name for name in EXPERIMENTS if "latent" not in name])
def test_experiments_build(name: str) -> None:
    plain = resolve(compose("train", [f"experiment={name}"]))
    check_rules(plain)
    validate_config(plain)
    assert plain["name"] == name
    assert isinstance(build(plain["model"]), GenerativeModel)
    assert plain["budget"]["images"] >= 10 * plain["budget"]["batch_size"]
