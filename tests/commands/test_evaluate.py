"""`genbench evaluate`: a run and stored samples are judged alike, and what cannot be judged is refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_runs import Train, command, files

from genbench.core import ConfigError, DataError, RunError
from genbench.run import Run

N = 128
"""Samples of the quick protocol."""
SCORES = ("fd", "is", "accuracy")


@pytest.fixture
def run(finished: Train, tmp_path: Path) -> Run:
    """A copy of a finished run, to be judged."""
    return Run(shutil.copytree(finished("vae").path, tmp_path / "run"))


@pytest.fixture(scope="session")
def samples(finished: Train, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run's images of sampling seed 0, as many as the quick protocol asks for."""
    path = tmp_path_factory.mktemp("samples") / "drawn.npz"
    command("sample", f"run={finished('vae').path}", f"n={N}", "seed=0", f"out={path}")
    return path


def judged(out: Path, *overrides: str) -> dict[str, Any]:
    """The result that the command writes to `out`."""
    command("evaluate", "protocol=quick", f"out={out}", *overrides)
    return json.loads(out.read_text())


def write_pngs(folder: Path, images: np.ndarray) -> None:
    folder.mkdir(parents=True)
    for i, image in enumerate(images):
        Image.fromarray(image[:, :, 0]).save(folder / f"{i:04d}.png")


def test_a_run_is_judged_once_and_its_result_kept(run: Run, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    command("evaluate", "protocol=quick", f"run={run.path}")
    (path,) = run.results.glob("*.json")
    result = json.loads(path.read_text())
    assert path.name == f"{result['protocol']}.json"
    assert result["samples"] == N
    assert result["likelihood"] == "elbo"
    assert result["nfe"] == 1
    printed = capsys.readouterr().out
    assert f"FD (digits): {result['fd']:.5g}  [{result['fd_interval'][0]:.5g}, " in printed
    assert (
        f"bits/dim: {result['bits_per_dim']:.5g}  +- {result['bits_per_dim_error']:.2g} over images  (elbo)" in printed
    )
    assert (result["weights"], result["sampler"]) == ("ema", None)
    assert f"kept in {path}" in printed

    before = files(run.path)
    monkeypatch.setattr("genbench.evaluation.Judge.evaluate", lambda *_: pytest.fail("judged again"))
    command("evaluate", "protocol=quick", f"run={run.path}")
    assert files(run.path) == before
    assert f"FD (digits): {result['fd']:.5g}" in capsys.readouterr().out


def test_another_protocol_gets_a_result_of_its_own(run: Run) -> None:
    command("evaluate", "protocol=quick", f"run={run.path}")
    command("evaluate", "protocol=quick", "protocol.samples=100", f"run={run.path}")
    results = [json.loads(path.read_text()) for path in run.results.glob("*.json")]
    assert {result["samples"] for result in results} == {100, N}


def test_a_metric_that_is_missing_from_the_kept_result_is_judged(run: Run) -> None:
    command("evaluate", "protocol=quick", "~metric.accuracy", f"run={run.path}")
    (path,) = run.results.glob("*.json")
    assert "accuracy" not in json.loads(path.read_text())
    command("evaluate", "protocol=quick", f"run={run.path}")
    assert set(SCORES) <= json.loads(path.read_text()).keys()
    assert [path] == list(run.results.glob("*.json"))


def test_a_run_and_its_own_samples_get_the_same_scores(run: Run, samples: Path, tmp_path: Path) -> None:
    of_run = judged(tmp_path / "a.json", f"run={run.path}")
    of_samples = judged(tmp_path / "b.json", f"samples={samples}", "data=digits", "name=mine")
    for key in (*SCORES, "kid", "precision", "recall", "protocol", "protocol_fields", "samples", "repeats"):
        assert of_run[key] == of_samples[key], key
    assert of_samples["name"] == "mine"
    assert of_samples["nfe"] is None


def test_a_folder_of_pngs_and_the_archive_get_the_same_scores(samples: Path, tmp_path: Path) -> None:
    write_pngs(tmp_path / "pngs" / "nested", np.load(samples)["arr_0"])
    of_archive = judged(tmp_path / "a.json", f"samples={samples}", "data=digits")
    of_folder = judged(tmp_path / "b.json", f"samples={tmp_path / 'pngs'}", "data=digits")
    assert of_folder["fd"] == of_archive["fd"]
    assert of_folder["is"] == of_archive["is"]
    assert of_folder["accuracy"] is None  # files have no labels


def test_the_real_training_images_are_near_and_their_negatives_far(tmp_path: Path) -> None:
    from genbench.data.digits import Digits

    real = Digits().table("train").take(range(N))
    arrays = {"images": real.image.permute(0, 2, 3, 1).numpy(), "labels": real.label.numpy()}
    np.savez(tmp_path / "real.npz", **arrays)
    np.savez(tmp_path / "negative.npz", **{**arrays, "images": 255 - arrays["images"]})
    near, far = (
        judged(tmp_path / f"{name}.json", f"samples={tmp_path / name}.npz", "data=digits")
        for name in ("real", "negative")
    )
    assert near["fd"] < 0.1 * far["fd"]
    assert near["accuracy"] > 0.95 > 0.5 > far["accuracy"]


@pytest.mark.parametrize("where", ["drawn.npz", "images.v2"])
def test_without_out_the_result_lies_beside_the_samples(
    where: str, samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / where
    if path.suffix == ".npz":
        shutil.copy(samples, path)
    else:
        write_pngs(path, np.load(samples)["arr_0"])
    monkeypatch.chdir(tmp_path)
    command("evaluate", "protocol=quick", f"samples={where}", "data=digits")
    (result,) = tmp_path.glob("*.json")
    assert result.name == f"{where}.{json.loads(result.read_text())['protocol']}.json"


def test_the_current_folder_can_be_judged(samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_pngs(tmp_path / "here", np.load(samples)["arr_0"])
    monkeypatch.chdir(tmp_path / "here")
    command("evaluate", "protocol=quick", "samples=.", "data=digits")
    (result,) = tmp_path.glob("here.*.json")
    assert json.loads(result.read_text())["name"] == "here"


@pytest.mark.filterwarnings("ignore:.*cannot fill a covariance")
@pytest.mark.parametrize("stored", ["npz", "folder"])
def test_too_few_images_are_told_with_both_numbers(stored: str, samples: Path, tmp_path: Path) -> None:
    images = np.load(samples)["arr_0"][:20]
    path = tmp_path / "few.npz"
    if stored == "npz":
        np.savez(path, images)
    else:
        path = tmp_path / "few"
        write_pngs(path, images)
    with pytest.raises(
        DataError, match=r"has 20 images, the protocol asks for 128: add images, or set protocol\.samples=20"
    ):
        command("evaluate", "protocol=quick", f"samples={path}", "data=digits")
    few = ("protocol.samples=20", "protocol.kid_subset_size=20")
    assert judged(tmp_path / "x.json", f"samples={path}", "data=digits", *few)["samples"] == 20


def write(folder: Path, name: str, content: bytes) -> str:
    path = folder / name
    path.write_bytes(content)
    return f"samples={path}"


def test_images_of_another_size_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "large.npz", np.zeros((N, 28, 28, 1), np.uint8))
    with pytest.raises(DataError, match=r"28x28x1 .*8x8x1"):
        command("evaluate", "protocol=quick", f"samples={tmp_path / 'large.npz'}", "data=digits")


def test_an_archive_that_is_cut_or_no_archive_is_refused(samples: Path, tmp_path: Path) -> None:
    whole = samples.read_bytes()
    for name, content in (("cut", whole[: len(whole) // 2]), ("text", b"images"), ("empty", b"")):
        with pytest.raises(DataError, match=rf"{name}\.npz .*npz archive"):
            command("evaluate", "protocol=quick", write(tmp_path, f"{name}.npz", content), "data=digits")
    spoiled = bytearray(whole)
    spoiled[len(whole) // 2] ^= 0xFF
    with pytest.raises(DataError, match=r"spoiled\.npz.* cannot be read"):
        command("evaluate", "protocol=quick", write(tmp_path, "spoiled.npz", bytes(spoiled)), "data=digits")
    assert not list(tmp_path.glob("*.json"))


def test_samples_that_are_not_there_are_told(tmp_path: Path) -> None:
    for name in ("absent.npz", "absent"):
        with pytest.raises(DataError, match=f"{name} does not exist"):
            command("evaluate", f"samples={tmp_path / name}", "data=digits")
    with pytest.raises(DataError, match=r"holds no \.png"):
        command("evaluate", f"samples={tmp_path}", "data=digits")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["samples=x.npz"], "give data=..., such as data=digits"),
        (["samples=x.npz", "run=y", "data=digits"], "give one of run=FOLDER, samples=FOLDER_OR_FILE and split=train"),
        ([], "give one of run=FOLDER, samples=FOLDER_OR_FILE and split=train"),
        (["split=test"], "give data=..., such as data=digits"),
        (["split=valid", "data=digits"], "split = \"valid\": expected 'train' or 'test'"),
        (["split=train", "data=digits", "name=a/b"], "name=a/b cannot name a folder"),
        (["split=train", "data=digits", "sampler=ddim"], "sampler is for run="),
        (["run=y", "into=z"], "name and into are for samples="),
        (["split=train", "data=digits", "metric.is.splits=2"], r"set protocol\.is_splits=2"),
        (["split=train", "data=digits", "metric.kid.subsets=2"], r"set protocol\.kid_subsets=2"),
        (["split=train", "data=digits", "out=x", "also.domain=."], "out=FILE takes one result"),
        (["split=train", "data=digits", "also.domain=w"], r"also\.domain=w: there is no such file"),
        (["split=train", "data=digits", "into=nowhere"], "into=nowhere is no folder"),
        (["samples=x.npz", "data=digits", "protocol.samples=many"], 'protocol.samples = "many": expected an integer'),
        (["samples=x.npz", "data=digits", "batch_size=0"], "batch_size = 0"),
    ],
)
def test_questions_that_make_no_sense_are_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        command("evaluate", *overrides)


def test_inception_without_its_weights_is_one_line_with_the_address_and_the_option(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    for overrides in ([], ["features.download=true"]):
        monkeypatch.setattr(torch.hub, "download_url_to_file", unreachable)
        with pytest.raises(ConfigError, match=r"https://.*inception.*\.pth .*features\.weights=FILE") as refused:
            command("evaluate", "features=inception", f"run={run.path}", *overrides)
        assert len(str(refused.value).splitlines()) == 1
    assert not (run.path / "results").exists()


def unreachable(url: str, *args: object, **kwargs: object) -> None:
    raise OSError("Name or service not known")


def test_a_run_is_not_compared_with_data_of_another_shape(run: Run, tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (400, 16, 16, 1), dtype=np.uint8)
    np.savez(tmp_path / "other.npz", images)
    with pytest.raises(ConfigError, match=r"makes images of shape \(1, 8, 8\), but those of npz are \(1, 16, 16\)"):
        command("evaluate", "protocol=quick", f"run={run.path}", "data=npz", f"data.train={tmp_path / 'other.npz'}")
    assert not (run.path / "results").exists()


def test_a_damaged_result_is_named(run: Run) -> None:
    command("evaluate", "protocol=quick", f"run={run.path}")
    (path,) = run.results.glob("*.json")
    path.write_text('{"fd": 1')
    with pytest.raises(RunError, match=rf"cannot read the result {path} .*: delete it and judge again"):
        command("evaluate", "protocol=quick", f"run={run.path}")


def test_an_unfinished_run_is_not_judged(run: Run) -> None:
    (run.path / "training.json").unlink()
    with pytest.raises(RunError, match="is not finished"):
        command("evaluate", "protocol=quick", f"run={run.path}")


def test_a_likelihood_of_another_kind_is_added_without_drawing_again(
    finished: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = ("likelihood=vlb", "likelihood.draws=2")
    run = Run(shutil.copytree(finished("ddpm", *few, "sampler.steps=2").path, tmp_path / "run"))
    first = judged(tmp_path / "first.json", f"run={run.path}")
    assert first["likelihood"] == "vlb"
    assert 0.0 < first["bits_per_dim_error"] < first["bits_per_dim"]

    with monkeypatch.context() as patch:
        patch.setattr("genbench.evaluation.Judge.evaluate", lambda *_: pytest.fail("drawn again"))
        second = judged(tmp_path / "second.json", f"run={run.path}", "likelihood=vlb", "likelihood.draws=4")
        changed = {key for key in second if second[key] != first.get(key)}
        assert changed == {"bits_per_dim", "bits_per_dim_error", "bits_by"}
        gap = abs(second["bits_per_dim"] - first["bits_per_dim"])
        assert gap < 6 * (first["bits_per_dim_error"] + second["bits_per_dim_error"])
        assert judged(tmp_path / "third.json", f"run={run.path}") == first


def test_the_likelihood_can_be_left_out_and_added_later_without_judging_again(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("genbench.app.judging.bits_per_dim", lambda *_: pytest.fail("computed though left out"))
        without = judged(tmp_path / "without.json", f"run={run.path}", "likelihood=none")
    assert (without["bits_per_dim"], without["bits_per_dim_error"], without["likelihood"]) == (None, None, None)

    monkeypatch.setattr("genbench.evaluation.Judge.evaluate", lambda *_: pytest.fail("judged again"))
    whole = judged(tmp_path / "whole.json", f"run={run.path}")
    assert (whole["likelihood"], whole["bits_per_dim"] > 0.0) == ("elbo", True)
    assert {key for key in whole if whole[key] != without.get(key)} == {
        *("bits_per_dim", "bits_per_dim_error", "likelihood", "bits_by")
    }
    # bits that are known are not lost by being left out
    assert judged(tmp_path / "again.json", f"run={run.path}", "likelihood=none") == whole


def test_a_likelihood_needs_a_model_that_takes_one(run: Run) -> None:
    with pytest.raises(ConfigError, match=r"model=vae has no use for likelihood=ode: drop it, or use model=ddpm"):
        command("evaluate", "protocol=quick", f"run={run.path}", "likelihood=ode")
    with pytest.raises(ConfigError, match="images alone do not say how probable they are"):
        command("evaluate", "protocol=quick", "split=test", "data=digits", "likelihood=vlb")
