"""The shipped yamls of protocol, metric and features compose to what evaluation is built of."""

from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import OmegaConf

from genbench.evaluation import Protocol
from genbench.features import DomainClassifier
from genbench.metrics import Metric

CONF = Path(__file__).resolve().parents[2] / "conf"


def composed(tmp_path: Path, *overrides: str) -> Any:
    (tmp_path / "main.yaml").write_text(
        f"hydra: {{searchpath: ['file://{CONF}']}}\ndefaults: [features: digits, protocol: digits, _self_]\n"
    )
    with initialize_config_dir(str(tmp_path), version_base="1.3"):
        return compose("main", list(overrides))


@pytest.mark.parametrize("name", sorted(p.stem for p in (CONF / "protocol").glob("*.yaml")))
def test_every_protocol_brings_its_metrics(tmp_path: Path, name: str) -> None:
    config = composed(tmp_path, f"protocol={name}")
    protocol = instantiate(config.protocol)
    metrics = instantiate(config.metric)
    assert isinstance(protocol, Protocol)
    assert protocol.name == ("torch_fidelity" if name == "crosswalk" else name)
    assert "fd" in metrics
    assert all(isinstance(metric, Metric) for metric in metrics.values())
    if "is" in metrics:
        assert (metrics["is"].splits, metrics["is"].shuffle) == (protocol.is_splits, protocol.is_shuffle)
    if "kid" in metrics:
        assert metrics["kid"].subset_size == protocol.kid_subset_size


def test_the_presets_are_what_they_say(tmp_path: Path) -> None:
    standard = instantiate(composed(tmp_path, "protocol=standard").protocol)
    assert standard == Protocol("standard", samples=50_000, reference="train", repeats=1, is_splits=10)
    digits = instantiate(composed(tmp_path).protocol)
    assert digits == Protocol("digits", samples=1000, repeats=3, is_splits=5, kid_subset_size=200)


@pytest.mark.parametrize(
    ("preset", "resize", "differs"),
    [
        ("torch_fidelity", "tf1", {}),
        ("clean_fid", "clean", {}),
        ("torchmetrics", "antialias", {"rounding": "truncate"}),
        ("adm", "tf1", {"rounding": "truncate", "is_shuffle": False}),
        ("pytorch_fid", "pytorch", {}),
    ],
)
def test_presets_of_other_evaluators(tmp_path: Path, preset: str, resize: str, differs: dict[str, Any]) -> None:
    config = composed(tmp_path, f"protocol={preset}")
    assert instantiate(config.protocol) == Protocol(preset, samples=50_000, reference="train", **differs)
    assert config.features["_target_"] == "genbench.features.Inception"
    assert config.features.resize == resize
    assert composed(tmp_path, f"protocol={preset}", "features.resize=tf1").features.resize == "tf1"
    # a convention of Inception's pixels is no obstacle to another extractor
    assert instantiate(composed(tmp_path, f"protocol={preset}", "features=digits").features).name == "digits"


def test_metrics_are_chosen_and_splits_set_on_the_command_line(tmp_path: Path) -> None:
    config = composed(tmp_path, "metric=[is]", "protocol.is_splits=7")
    assert OmegaConf.to_container(config.metric, resolve=True) == {
        "is": {"_target_": "genbench.metrics.InceptionScore", "splits": 7, "shuffle": True}
    }


def test_features_default_to_the_shipped_classifier(tmp_path: Path) -> None:
    assert isinstance(instantiate(composed(tmp_path).features), DomainClassifier)


@pytest.mark.parametrize("group", ["features", "metric", "protocol"])
def test_every_choice_describes_itself_in_its_first_line(group: str) -> None:
    for path in (CONF / group).glob("*.yaml"):
        first = next(line for line in path.read_text().splitlines() if not line.startswith("# @package"))
        assert first.startswith("# ")
        assert 20 < len(first) < 120
