"""What a command takes over from the run it reads."""

from collections.abc import Callable
from pathlib import Path

import pytest

from genbench.app.build import resolve
from genbench.app.compose import compose
from genbench.app.own import with_own, without_own
from genbench.core import ConfigError
from genbench.run import Run

Make = Callable[..., str]


@pytest.fixture
def made(tmp_path: Path) -> Make:
    """A run folder of a config, without weights: `made("protocol=quick", folder="a")`."""

    def make(*overrides: str, folder: str = "run") -> str:
        config = resolve(compose("train", ["logger=none", *overrides]))
        return str(Run.create(tmp_path / folder, config, {}).path)

    return make


SHAPES = ("model=text_to_image", "data=shapes", "protocol=shapes", "features=pixels", "text_encoder=bag_of_words")


def test_a_run_is_judged_as_its_config_says(made):
    run = made(*SHAPES, "protocol.samples=77")
    config = compose("evaluate", [f"run={run}"])
    assert config.protocol.name == "shapes"
    assert config.protocol.samples == 77
    assert config.features._target_ == "genbench.features.Pixels"
    assert list(config.metric) == ["fd", "checker"]


def test_what_is_chosen_stands_instead(made):
    run = made(*SHAPES)
    config = compose("evaluate", [f"run={run}", "protocol=quick"])
    assert (config.protocol.name, config.features._target_) == ("quick", "genbench.features.Pixels")
    assert "checker" not in config.metric
    config = compose("evaluate", [f"run={run}", "metric=[fd]", "protocol.samples=50", "features=digits"])
    assert (list(config.metric), config.protocol.samples) == (["fd"], 50)
    assert config.features._target_ == "genbench.features.DomainClassifier"
    usual = compose("evaluate", ["protocol=crosswalk"]).features
    assert compose("evaluate", [f"run={run}", "protocol=crosswalk"]).features == usual


def test_the_data_may_lie_elsewhere_by_now(made):
    run = made("model=vae", "data=webdataset", "data.root=/home", "data.channels=1")
    config = compose("evaluate", [f"run={run}", "data.root=/scratch"])
    assert (config.data.root, config.data.channels) == ("/scratch", 1)
    assert compose("evaluate", [f"run={run}"]).data is None


def test_arguments_of_metrics_come_along_and_what_follows_from_the_protocol_still_does(made):
    run = made("model=vae", "metric=[kid,lpips_diversity]", "metric.lpips_diversity.weights=mine.pth")
    found = resolve(compose("evaluate", [f"run={run}", "protocol.kid_subset_size=37"]))["metric"]
    assert sorted(found) == ["kid", "lpips_diversity"]
    assert found["kid"]["subset_size"] == 37
    assert found["lpips_diversity"]["weights"] == "mine.pth"


def test_single_values_of_a_sampler_are_changes_of_the_runs_own(made):
    run = made("model=ddpm", "sampler=ddim", "sampler.steps=11", "sampler.eta=0.5")
    for command in ("sample", "evaluate"):
        config = compose(command, [f"run={run}", "sampler.guidance=2"])
        assert (config.sampler.steps, config.sampler.eta, config.sampler.guidance) == (11, 0.5, 2)
        assert compose(command, [f"run={run}"]).sampler is None  # a run's own sampler has no part in the hash
    with pytest.raises(ConfigError, match=r"sampler\.guidance"):
        compose("sample", [f"run={made('model=vae', folder='vae')}", "sampler.guidance=2"])


def test_a_job_that_is_given_its_parents_choices_finds_its_own_again(made):
    run = made(*SHAPES)
    parents = with_own("evaluate", [f"run={run}", "sampler.steps=3"])
    assert parents[:3] == ["protocol=own", "features=own", "sampler=own"]
    assert with_own("evaluate", parents) == parents
    assert without_own(parents) == [f"run={run}", "sampler.steps=3"]
    assert without_own(["likelihood=own"]) == ["likelihood=own"]


def test_runs_of_a_sweep_bring_what_they_agree_on(made):
    one, other = made(*SHAPES, folder="a"), made(*SHAPES, "protocol.samples=50", folder="b")
    assert with_own("evaluate", [f"run={one},{other}"]) == ["features=own", f"run={one},{other}"]
    assert with_own("evaluate", ["run=nowhere"]) == ["run=nowhere"]
