"""`genbench benchmark`: what it leaves, how it goes on, what it refuses."""

import json
import re
from pathlib import Path

import pytest
from safetensors.torch import load_file
from tiny_benchmarks import CELLS, Benchmark, rows_of, statuses, weights
from tiny_runs import command, files

from genbench.app.commands import benchmark
from genbench.app.paths import conf_dir
from genbench.benchmark.leaderboard import read_leaderboard
from genbench.benchmark.rows import ROW_KEYS
from genbench.core import GenbenchError, RunError
from genbench.evaluation.sources import ModelSource
from genbench.families.vae import VAE
from genbench.training.checkpoint import ResumeCheckpoint
from genbench.training.jsonl import read_log

# -- what a benchmark leaves -------------------------------------------------------------------------------------


def test_the_leaderboard_has_a_row_per_model_and_the_controls(whole: Path) -> None:
    rows = json.loads((whole / "leaderboard.json").read_text())
    assert all(tuple(row) == ROW_KEYS for row in rows)
    found = {(row["family"], row["model"], row["status"]): row for row in rows}
    assert found.keys() == {
        ("vae", "one", "ok"),
        ("gan", "two", "ok"),
        ("control", "real", "ok"),
        *(("control", name, "ok") for name in ("noise", "blur", "one mode", "train copy")),
    }
    assert len({row["protocol"] for row in rows}) == 1
    for (family, name, _), row in found.items():
        assert (row["data"], row["features"], row["samples"]) == ("digits", "digits", 128)
        assert row["fd"] > 0.0
        if family == "control":
            assert row["seeds"] == row["runs"] == []
            assert row["run"] is row["params"] is row["train_seconds"] is row["nfe"] is None
        else:
            assert row["seeds"] == [1, 2]
            assert row["runs"] == [str(whole / "cells" / f"{name}-s{seed}") for seed in (1, 2)]
            assert (row["images"], row["nfe"], row["spread"]) == (256, 1, "training seeds")
            state = load_file(Path(row["run"]) / "weights.safetensors")
            assert row["params"] == sum(value.numel() for value in state.values())
            assert row["train_seconds"] > 0.0 < row["sample_seconds_per_1k"]
    assert found["vae", "one", "ok"]["likelihood"] == "elbo"
    assert found["control", "real", "ok"]["fd"] < 0.1 * found["control", "noise", "ok"]["fd"]
    assert found["control", "real", "ok"]["accuracy"] > 0.95


def test_a_row_is_the_mean_of_its_runs_results(whole: Path) -> None:
    row = rows_of(whole)["one"]
    results = [json.loads((Path(run) / "results" / f"{row['protocol']}.json").read_text()) for run in row["runs"]]
    a, b = (result["fd"] for result in results)
    assert row["fd"] == pytest.approx((a + b) / 2, rel=1e-12)
    assert row["fd_std"] == pytest.approx(abs(a - b) / 2**0.5, rel=1e-12)


def test_the_report_shows_every_model_and_needs_nothing_else(whole: Path) -> None:
    page = (whole / "report" / "index.html").read_text()
    assert [path.name for path in (whole / "report").iterdir()] == ["index.html"]
    assert set(re.findall(r'alt="\d+ (.*?), one column per class"', page)) == {
        *("samples of one", "samples of two", "real images")
    }
    assert "<svg" in page
    addresses = re.findall(r"""(?:src|href)\s*=\s*["']([^"']*)""", page)
    assert all(address.startswith(("data:", "#")) for address in addresses)
    assert not re.search(r"@import|url\((?!['\"]?(?:data:|#))", page)


def test_a_cell_keeps_its_samples_previews_and_config(whole: Path) -> None:
    for cell in CELLS:
        folder = whole / "cells" / cell
        assert {path.name for path in (folder / "samples").iterdir()} == {"0000000128.png", "0000000256.png"}
        kept = [path.name for path in (folder / "results").iterdir()]
        assert sorted(name.split("-")[0] + name[-4:] for name in kept if "-" in name) == [
            *("real.npz", "samples.npz", "samples.png")
        ]
        assert [record["images"] for record in read_log(folder / "log.jsonl") if "fd" in record] == [128, 256]
        assert "group: tiny" in (folder / "config.yaml").read_text()
        assert not (folder / "failed.json").exists()


# -- running it again --------------------------------------------------------------------------------------------


def test_running_it_again_trains_nothing_and_writes_the_same_leaderboard(
    whole: Path, tiny_benchmark: Benchmark, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files(whole)
    monkeypatch.setattr(ModelSource, "draw", lambda *_: pytest.fail("drew samples again"))
    tiny_benchmark(whole, "+cell.training.preview_every=128")
    after = files(whole)
    assert after.keys() == before.keys()
    for name, (content, _) in before.items():
        assert after[name][0] == content, name
    untouched = {name for name in before if name.startswith(("cells/", "controls/"))}
    assert {name: after[name] for name in untouched} == {name: before[name] for name in untouched}
    assert len(untouched) > 40


def test_another_protocol_judges_the_same_trainings(copy: Path, tiny_benchmark: Benchmark) -> None:
    trained = {cell: weights(copy, cell) for cell in CELLS}
    tiny_benchmark(copy, "+cell.protocol.samples=100", "benchmark.seeds=[2]")
    assert {cell: weights(copy, cell) for cell in CELLS} == trained
    found = sorted((row["model"], row["samples"], row["seeds"]) for row in read_leaderboard(copy))
    controls = [(name, n, []) for name in ("blur", "noise", "one mode", "real", "train copy") for n in (100, 128)]
    assert found == sorted(
        [*controls, ("one", 100, [2]), ("one", 128, [1, 2]), ("two", 100, [2]), ("two", 128, [1, 2])]
    )


def test_a_cell_that_dies_is_a_failed_row_and_is_resumed_once_its_cause_is_mended(
    whole: Path, tiny_benchmark: Benchmark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    folder, loss, calls = tmp_path / "b", VAE.loss, []

    def dying(self, batch, noise):
        calls.append(1)
        if len(calls) == 6:  # two counted its operations
            raise RuntimeError("the tensor core melted\nsecond line")
        return loss(self, batch, noise)

    with monkeypatch.context() as patch:
        patch.setattr(VAE, "loss", dying)
        with pytest.raises(RunError, match=r"1 of 2 cells failed \(one-s1\): mend the cause and run the command again"):
            tiny_benchmark(folder, "benchmark.seeds=[1]")
    assert statuses(folder) == [("one", "failed", [1]), ("two", "ok", [1])]
    assert rows_of(folder)["one"]["error"] == "the tensor core melted"
    cell = folder / "cells" / "one-s1"
    assert (cell / "checkpoint.ckpt").is_file()
    assert "dying" in json.loads((cell / "failed.json").read_text())["traceback"]
    for shown in ((folder / "report" / "index.html").read_text(), capsys.readouterr().out):
        assert "the tensor core melted" in shown

    tiny_benchmark(folder, "benchmark.seeds=[1]")
    assert statuses(folder) == [("one", "ok", [1]), ("two", "ok", [1])]
    assert not (cell / "failed.json").exists()
    assert '{"event": "resume", "images": 128' in (cell / "log.jsonl").read_text()
    for name in ("one-s1", "two-s1"):  # previews are no part of what decides the weights
        assert weights(folder, name) == weights(whole, name)


def test_a_judgement_that_dies_leaves_a_trained_cell_that_is_judged_next_time(
    whole: Path, tiny_benchmark: Benchmark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "b"
    with monkeypatch.context() as patch:
        patch.setattr(VAE, "likelihood", lambda *_: (_ for _ in ()).throw(MemoryError()))
        with pytest.raises(RunError, match=r"1 of 2 cells failed \(one-s1\)"):
            tiny_benchmark(folder, "benchmark.seeds=[1]")
    assert rows_of(folder)["one"]["error"] == "MemoryError"
    trained = files(folder / "cells" / "one-s1")["weights.safetensors"]
    tiny_benchmark(folder, "benchmark.seeds=[1]")
    assert rows_of(folder)["one"]["status"] == "ok"
    assert files(folder / "cells" / "one-s1")["weights.safetensors"] == trained


def test_an_interrupted_benchmark_goes_on_where_it_was(
    whole: Path, tiny_benchmark: Benchmark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, save = tmp_path / "b", ResumeCheckpoint.save

    def save_and_interrupt(self, trainer, module) -> None:
        save(self, trainer, module)
        if self.path.parent.name == "two-s1":
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ResumeCheckpoint, "save", save_and_interrupt)
        with pytest.raises(KeyboardInterrupt):
            tiny_benchmark(folder, "benchmark.seeds=[1]")
    done = files(folder / "cells" / "one-s1")
    assert (folder / "cells" / "two-s1" / "checkpoint.ckpt").is_file()
    assert not (folder / "cells" / "two-s1" / "failed.json").exists()
    assert not (folder / "leaderboard.json").exists()

    command("report", f"runs={folder}")
    unfinished = rows_of(folder)["two"]
    assert (unfinished["status"], unfinished["error"]) == ("unjudged", "training is not finished")

    tiny_benchmark(folder, "benchmark.seeds=[1]")
    assert files(folder / "cells" / "one-s1") == done
    assert weights(folder, "two-s1") == weights(whole, "two-s1")
    assert rows_of(folder)["two"]["status"] == "ok"


# -- mistakes, told before anything is trained -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("benchmark.models.two.optimizer.lr=fast", r'cell two-s1: optimizer\.lr = "fast": expected float'),
        ("+benchmark.models.two.scheduler=cosine", r"cell two-s1: .* has no use for scheduler=cosine: drop it"),
        ("+benchmark.models.two.lr_scheduler={warmup:-1}", r"cell two-s1: lr_scheduler\.warmup is -1"),
        ("benchmark.models.two={model.channels:[8,8,8,8,8]}", r"cell two-s1: .*at most 4 entries"),
        ("benchmark.models.two.model=nope", r"cell two-s1: no model 'nope': choose one of dcgan, "),
        ("+benchmark.models.two.modle.latent=32", r"cell two-s1: 'modle' is no key of train: did you mean model\?"),
        ("+benchmark.models={vae-S/2:{model:vae}}", r"'vae-S/2' names folders: use 1 to 220 bytes without /"),
        ("+benchmark.models.two.protocol=digits", r"cell two-s1: another protocol than one has"),
        ("+benchmark.models.two.features={name:other}", r"cell two-s1: "),
        ("benchmark.seeds=[1,1]", r"names a seed twice"),
        ("benchmark.seeds=[1,two]", r'benchmark\.seeds\.1 = "two": expected an integer'),
    ],
)
def test_a_mistake_in_the_last_model_is_told_before_the_first_is_trained(
    override: str, message: str, tiny_benchmark: Benchmark, tmp_path: Path
) -> None:
    one_seed = () if "seeds" in override else ("benchmark.seeds=[1]",)
    with pytest.raises(GenbenchError, match=message):
        tiny_benchmark(tmp_path / "b", override, *one_seed)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", sorted(path.stem for path in (conf_dir() / "benchmark").glob("*.yaml")))
def test_a_shipped_benchmark_has_no_mistakes(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*args: object, **kwargs: object) -> None:
        raise InterruptedError("every cell was found to be free of mistakes")

    monkeypatch.setattr(benchmark, "make_judge", stop)
    with pytest.raises(InterruptedError):
        command("benchmark", f"benchmark={name}", f"out={tmp_path / 'b'}")


def test_one_model_may_mirror_its_images_which_changes_no_reference(tiny_benchmark: Benchmark, tmp_path: Path) -> None:
    less = ("benchmark.seeds=[1]", "+cell.budget=tiny", "+cell.budget.images=64")
    tiny_benchmark(tmp_path / "b", "+benchmark.models.two.data={flip:true}", *less)
    assert {row["protocol"] for row in read_leaderboard(tmp_path / "b")} == {rows_of(tmp_path / "b")["two"]["protocol"]}


def test_a_folder_with_other_cells_is_refused_as_it_is(copy: Path, tiny_benchmark: Benchmark) -> None:
    before = files(copy)
    with pytest.raises(
        RunError, match=r"cell one-s1: .* holds another experiment.*budget\.images: 256 there, 512 here"
    ):
        tiny_benchmark(copy, "+cell.budget.images=512")
    assert files(copy) == before
