"""A benchmark that draws from every trained model in further ways."""

import json
from pathlib import Path

import pytest
from tiny_benchmarks import rows_of, run_tiny

from genbench.core import ConfigError

CONFIG = """
name: tiny
seeds: [1]
cell:
  data: digits
  protocol: quick
  features: digits
  trainer: cpu
  budget: {images: 256, batch_size: 64}
  training: {log_every: 64, checkpoint_every: 128, ema_half_life: 0}
  optimizer: {lr: 0.03}
  lr_scheduler: {warmup: 0}
models:
  one:
    {model: ddpm, backbone: dit_digits, backbone.width: 16, backbone.layers: 1, likelihood: none,
     sampler: {steps: 4, guidance: 3}}
samplers:
  unguided: {guidance: 1}
  short: {steps: 2}
"""


@pytest.fixture
def own_conf(tmp_path: Path) -> Path:
    folder = tmp_path / "conf"
    (folder / "benchmark").mkdir(parents=True)
    (folder / "benchmark" / "tiny.yaml").write_text(CONFIG)
    return folder


def test_every_way_to_draw_is_a_row_of_the_one_training(
    own_conf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = run_tiny(own_conf, monkeypatch, tmp_path / "bench")
    rows = {name: row for name, row in rows_of(folder).items() if row["family"] != "control"}
    assert {name: row["nfe"] for name, row in rows.items()} == {"one": 8, "one unguided": 4, "one short": 4}
    assert len({row["protocol"] for row in rows.values()}) == len({row["run"] for row in rows.values()}) == 1
    assert {row["variation"] for row in rows.values()} == {None, "unguided", "short"}
    assert rows["one unguided"]["sampler"] == {**rows["one"]["sampler"], "guidance": 1}
    assert len({row["fd"] for row in rows.values()}) == 3
    run = folder / "cells" / "one-s1"
    assert len(list((run / "results").glob("samples-*.npz"))) == 3
    page = (folder / "report" / "index.html").read_text()
    assert all(f"samples of {name}," in page for name in rows)
    (result,) = (path for path in (run / "results").glob("*.json") if path.name.count(".") == 1)
    before = result.stat().st_mtime_ns
    run_tiny(own_conf, monkeypatch, folder)
    assert result.stat().st_mtime_ns == before
    assert json.loads(result.read_text())["variation"] is None

    run_tiny(own_conf, monkeypatch, folder, "benchmark.samplers.short.steps=3")
    again = rows_of(folder)
    assert (again["one short"]["nfe"], again["one short"]["sampler"]["steps"]) == (6, 3)
    assert again["one short"]["fd"] != rows["one short"]["fd"]
    assert again["one unguided"]["fd"] == rows["one unguided"]["fd"]


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("+benchmark.samplers.wrong={stpes: 3}", "stpes"),
        ("+benchmark.samplers={a/b: {steps: 3}}", "letters, digits"),
        ("+benchmark.samplers.failed={steps: 3}", "not 'failed'"),
        ("+benchmark.models.two={model: vae}", "this one has no sampler"),
    ],
)
def test_a_way_that_a_model_cannot_draw_is_refused_before_anything_is_trained(
    own_conf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, override: str, said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        run_tiny(own_conf, monkeypatch, tmp_path / "bench", override)
    assert not (tmp_path / "bench" / "cells").exists()
