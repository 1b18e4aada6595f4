"""`genbench evaluate`: other samplers, weights, extractors, references and leaderboards; interruption; processes."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_runs import Train, command

from genbench.app import judging
from genbench.app.build import build
from genbench.app.compose import compose
from genbench.app.judging import kept_draws
from genbench.benchmark.leaderboard import read_leaderboard
from genbench.core import ConfigError, DataError, RunError
from genbench.core.files import write_json
from genbench.evaluation.sources import ModelSource
from genbench.run import Run

QUICK = ("protocol=quick",)


def results(run: Run) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted((run.path / "results").glob("*.json"))]


@pytest.fixture
def ddpm(finished: Train, tmp_path: Path) -> Run:
    return Run(shutil.copytree(finished("ddpm").path, tmp_path / "ddpm"))


def test_another_sampler_is_another_protocol_and_stands_in_the_result(
    ddpm: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    command("evaluate", *QUICK, f"run={ddpm.path}", "sampler=ddim", "sampler.steps=2")
    # the likelihood knows no sampler: what one judgement found serves the next
    monkeypatch.setattr(judging, "bits_per_dim", lambda *_: pytest.fail("computed again"))
    command("evaluate", *QUICK, f"run={ddpm.path}", "sampler=ddim", "sampler.steps=3")
    two, three = sorted(results(ddpm), key=lambda result: result["nfe"])
    assert (two["sampler"]["steps"], three["sampler"]["steps"]) == (2, 3)
    # guidance evaluates the network twice a step
    assert three["nfe"] == pytest.approx(1.5 * two["nfe"])
    assert two["protocol"] != three["protocol"]
    assert two["bits_per_dim"] == three["bits_per_dim"] is not None
    assert two["protocol_fields"]["sampler"] == two["sampler"]


def test_a_worse_run_guides_a_better_one(ddpm: Run, finished: Train, tmp_path: Path) -> None:
    few = (*QUICK, f"run={ddpm.path}", "sampler=ddim", "sampler.steps=2", "metric=[fd]")
    worse = Run(shutil.copytree(finished("ddpm").path, tmp_path / "worse"))
    save_file({name: 0.5 * value for name, value in load_file(worse.weights).items()}, worse.weights)
    command("evaluate", *few)
    command("evaluate", *few, "sampler.guidance=2", f"sampler.guidance_run={worse.path}")
    alone, guided = sorted(results(ddpm), key=lambda result: result["nfe"])
    assert (alone["nfe"], guided["nfe"]) == (2, 4)
    assert alone["fd"] != guided["fd"]
    with pytest.raises(ConfigError, match=r"guidance_run=nowhere cannot be used"):
        command("evaluate", *few, "sampler.guidance=2", "sampler.guidance_run=nowhere")
    another = finished("vae").path
    with pytest.raises(ConfigError, match=r"guidance_run=.* cannot be used"):
        command("evaluate", *few, "sampler.guidance=2", f"sampler.guidance_run={another}")


def test_raw_weights_are_judged_under_a_hash_of_their_own(ddpm: Run) -> None:
    few = ("sampler=ddim", "sampler.steps=2")
    # two batches leave hardly anything to average: the raw weights are made to differ
    save_file({name: 1.5 * value for name, value in load_file(ddpm.weights).items()}, ddpm.raw)
    write_json(ddpm.path / "training.json", ddpm.summary | {"raw": ddpm.raw.name})
    command("evaluate", *QUICK, f"run={ddpm.path}", *few)
    command("evaluate", *QUICK, f"run={ddpm.path}", *few, "protocol.weights=raw")
    ema, raw = sorted(results(ddpm), key=lambda result: result["weights"])
    assert (ema["weights"], raw["weights"]) == ("ema", "raw")
    assert ema["protocol"] != raw["protocol"]
    assert ema["fd"] != raw["fd"]


def test_a_split_is_judged_and_taken_into_a_leaderboard(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    command("evaluate", *QUICK, "split=train", "data=digits", "name=a friend", f"into={copy}")
    (entry,) = (copy / "external" / "a friend").glob("*.json")
    result = json.loads(entry.read_text())
    assert entry.stem == result["protocol"]
    assert result["accuracy"] > 0.99
    command("report", f"runs={copy}")
    (row,) = [row for row in read_leaderboard(copy) if row["model"] == "a friend"]
    assert row["family"] == "external"
    assert row["fd"] == pytest.approx(result["fd"])
    assert row["protocol"] == result["protocol"]
    with pytest.raises(ConfigError, match="give these samples another name"):
        command("evaluate", *QUICK, "split=test", "data=digits", "name=a friend", f"into={copy}")
    assert json.loads(entry.read_text()) == result


def test_exported_statistics_stand_for_the_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    command("reference_export", "data=digits", "out=stats.npz")
    with pytest.raises(ConfigError, match=r"stats\.npz is there already"):
        command("reference_export", "data=digits", "out=stats.npz")
    with np.load("stats.npz", allow_pickle=False) as stats:
        assert stats["mu"].shape == (64,)
        assert stats["sigma"].shape == (64, 64)
    asked = (*QUICK, "split=train", "data=digits", "metric=[fd]")
    command("evaluate", *asked, "out=images.json")
    command("evaluate", *asked, "out=stats.json", "reference=stats.npz")
    of_images, of_stats = (json.loads(Path(name).read_text()) for name in ("images.json", "stats.json"))
    assert of_stats["fd"] == pytest.approx(of_images["fd"], rel=1e-9)
    with pytest.raises(DataError, match="absent"):
        command("evaluate", *asked, "reference=absent.npz")


def test_further_extractors_judge_the_same_draws(ddpm: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = tmp_path / "other.safetensors"
    command("features_fit", "data=digits", "epochs=1", f"out={weights}")
    drawn: list[int] = []
    draw = ModelSource.draw

    def counted(self: ModelSource, seed: int, indices: Any) -> Any:
        drawn.extend(indices if self.name != "warm-up" else [])
        return draw(self, seed, indices)

    monkeypatch.setattr(ModelSource, "draw", counted)
    main = [*QUICK, f"run={ddpm.path}", "sampler=ddim", "sampler.steps=2"]
    genbench(monkeypatch, *main, "protocol.kid_subsets=5", f"also.domain={weights}")
    assert drawn == [*range(128), *range(100)]  # and once for the sheet that both share
    one, two = results(ddpm)
    assert one["protocol"] != two["protocol"]
    assert one["fd"] != two["fd"]
    for key in ("sampler", "nfe", "samples"):
        assert one[key] == two[key]
    assert not (ddpm.path / "results" / ".draws").exists()


def genbench(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    """The command as the shell runs it: views are composed from its command line."""
    from genbench.app.cli import dispatch

    monkeypatch.setattr(sys, "argv", ["genbench"])
    dispatch(["evaluate", *arguments])


def test_an_interrupted_judgement_goes_on_where_it_was(ddpm: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [*QUICK, f"run={ddpm.path}", "sampler=ddim", "sampler.steps=2", "protocol.samples=600"]
    draw, drawn = ModelSource.draw, []

    def dies(self: ModelSource, seed: int, indices: Any) -> Any:
        if self.name != "warm-up":
            if len(drawn) == 2:
                raise KeyboardInterrupt
            drawn.append(len(indices))
        return draw(self, seed, indices)

    monkeypatch.setattr(ModelSource, "draw", dies)
    with pytest.raises(KeyboardInterrupt):
        command("evaluate", *asked)
    assert not list((ddpm.path / "results").glob("*.json"))

    def counts(self: ModelSource, seed: int, indices: Any) -> Any:
        drawn.append(0 if self.name == "warm-up" else len(indices))
        return draw(self, seed, indices)

    monkeypatch.setattr(ModelSource, "draw", counts)
    command("evaluate", *asked)
    assert sum(drawn) == 600 + 100  # those of the sheet
    (resumed,) = results(ddpm)
    shutil.rmtree(ddpm.path / "results")
    monkeypatch.undo()
    command("evaluate", *asked)
    (whole,) = results(ddpm)
    for key in ("fd", "is", "kid", "precision", "recall", "accuracy", "nfe", "repeats"):
        assert resumed[key] == whole[key], key


@pytest.mark.slow
@pytest.mark.parametrize("processes", [2, 3])
def test_the_score_does_not_depend_on_the_number_of_processes(ddpm: Run, tmp_path: Path, processes: int) -> None:
    asked = [*QUICK, "protocol.samples=600", f"run={ddpm.path}", "sampler=ddim", "sampler.steps=2"]
    command("evaluate", *asked)
    (alone,) = results(ddpm)
    shutil.rmtree(ddpm.path / "results")
    launched = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={processes}", "--standalone",
         "-m", "genbench", "evaluate", *asked],
        capture_output=True, text=True, timeout=300, env={**os.environ, "OMP_NUM_THREADS": "1"}, cwd=tmp_path,
    )  # fmt: skip
    assert launched.returncode == 0, launched.stderr[-2000:]
    assert launched.stdout.count("kept in") == 1
    (together,) = results(ddpm)
    for key in ("precision", "recall", "accuracy", "nfe", "protocol"):
        assert together[key] == alone[key], key
    # the features are the same bits; a product of matrices rounds otherwise in another number of threads
    for key, rounding in (("fd", 1e-12), ("is", 1e-6), ("kid", 1e-6)):
        assert together[key] == pytest.approx(alone[key], rel=rounding), key
    (first,), (same,) = together["repeats"], alone["repeats"]
    assert first == pytest.approx(same, rel=1e-6)
    assert torch.isfinite(torch.tensor(together["sample_seconds_per_1k"]))


def test_closest_pairs_are_shown_beside_the_result(ddpm: Run) -> None:
    few = ("protocol.samples=100", "protocol.repeats=1", "protocol.kid_subset_size=50")
    command("evaluate", *few, "metric=[memorisation]", f"run={ddpm.path}", "sampler=ddim", "sampler.steps=2")
    (result,) = results(ddpm)
    assert (ddpm.path / "results" / f"{result['protocol']}.neighbours.png").is_file()
    assert -40.0 < result["ct"] < 40.0


def test_two_judgements_of_one_run_do_not_clear_each_others_draws(ddpm: Run) -> None:
    with kept_draws(ddpm), pytest.raises(RunError, match="another process is judging"):
        command("evaluate", *QUICK, f"run={ddpm.path}", "sampler=ddim", "sampler.steps=2")


def test_judging_stored_images_again_with_fewer_metrics_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bench").mkdir()
    asked = (*QUICK, "split=train", "data=digits", "name=theirs", "into=bench")
    command("evaluate", *asked)
    (kept,) = tmp_path.glob("*.json")
    whole = json.loads(kept.read_text())
    command("evaluate", *asked, "metric=[fd]")
    command("reference_export", "data=digits", "out=stats.npz")
    command("evaluate", *asked, "reference=stats.npz")
    (entry,) = (tmp_path / "bench" / "external" / "theirs").iterdir()
    for path in (kept, entry):
        again = json.loads(path.read_text())
        assert again["kid"] == whole["kid"] is not None
        assert again["repeats"][0]["precision"] == whole["precision"]
        assert again["metrics"] == whole["metrics"]
        assert again["fd"] == pytest.approx(whole["fd"])


def test_samples_drawn_for_other_captions_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    data = ("data=shapes", "data.train_images=500", "data.test_images=200", "features=pixels", "protocol=shapes")
    few = (*data, "protocol.samples=200", "samples=theirs.npz")
    truth = build(compose("evaluate", data).data).table("test")
    image = truth.take(range(200)).image.permute(0, 2, 3, 1).numpy()
    np.savez("theirs.npz", images=image, captions=np.array(truth.caption))
    command("evaluate", *few)
    (kept,) = tmp_path.glob("*.json")
    assert json.loads(kept.read_text())["overall"] == 1.0
    np.savez("theirs.npz", images=image[[0] * 200], captions=np.array([truth.caption[0]] * 200))
    with pytest.raises(ConfigError, match="draw a sample for each test caption, in their order"):
        command("evaluate", *few)
