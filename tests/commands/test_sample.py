"""`genbench sample`: what it writes, what decides the images, what it refuses."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_runs import FAMILIES, Train, command, digest

from genbench.app.build import load_model, resolve
from genbench.app.commands.sample import name
from genbench.app.compose import compose
from genbench.core import ConfigError, RunError, files
from genbench.evaluation.sources import ModelSource
from genbench.run import Run

SHORT = ("sampler=ddpm", "sampler.steps=4", "backbone.channels=[16,16]", "backbone.blocks=1")
LEARNT = ("budget.images=640", "budget.batch_size=16", "optimizer.lr=5e-3")
OWN = {"ddpm": (*SHORT, *LEARNT)}
"""A short random walk, by a network that has learnt enough for labels to steer it."""


@pytest.fixture
def run_of(finished: Train):
    """A finished run of a family; `unconditional=True` for one without labels."""

    def make(model: str, unconditional: bool = False) -> Run:
        return finished(model, *OWN.get(model, ()), *(["model.conditional=false"] if unconditional else []))

    return make


def sample(run: Run, out: Path, *overrides: str) -> dict[str, np.ndarray]:
    """The arrays of the npz that the command writes."""
    command("sample", f"run={run.path}", f"out={out}", *overrides)
    with np.load(out.with_name(out.name + ".npz"), allow_pickle=False) as archive:
        return dict(archive)


def test_the_archive_is_uint8_nhwc_with_labels_and_the_sheet_shows_it(run_of, tmp_path: Path) -> None:
    arrays = sample(run_of("vae"), tmp_path / "drawn", "n=30")
    assert arrays.keys() == {"arr_0", "arr_1"}
    assert (arrays["arr_0"].dtype, arrays["arr_0"].shape) == (np.uint8, (30, 8, 8, 1))
    assert arrays["arr_1"].tolist() == [i % 10 for i in range(30)]
    sheet = Image.open(tmp_path / "drawn.png")
    # three rows of ten images, each enlarged four times, two pixels around each
    assert sheet.size == (10 * 34 + 2, 3 * 34 + 2)
    pixels = np.asarray(sheet.convert("L"))
    for i, image in enumerate(arrays["arr_0"]):
        top, left = 2 + 34 * (i // 10), 2 + 34 * (i % 10)
        shown = pixels[top : top + 32, left : left + 32]
        assert (shown == image[:, :, 0].repeat(4, axis=0).repeat(4, axis=1)).all()


def test_an_unconditional_run_has_no_labels(run_of, tmp_path: Path) -> None:
    assert sample(run_of("vae", unconditional=True), tmp_path / "drawn", "n=3").keys() == {"arr_0"}


@pytest.mark.parametrize("model", FAMILIES)
def test_images_depend_on_the_seed_and_not_on_the_batch_size(model: str, run_of, tmp_path: Path) -> None:
    run = run_of(model)
    small, large, other = (
        sample(run, tmp_path / f"{i}", "n=20", f"batch_size={batch}", f"seed={seed}")
        for i, (batch, seed) in enumerate([(7, 3), (64, 3), (64, 4)])
    )
    assert (small["arr_0"] == large["arr_0"]).all()
    assert digest(tmp_path / "0.npz") == digest(tmp_path / "1.npz")
    assert (other["arr_0"] != large["arr_0"]).reshape(20, -1).any(1).all()


def test_fewer_images_are_the_first_of_more(run_of, tmp_path: Path) -> None:
    few, many = (sample(run_of("dcgan"), tmp_path / f"{n}", f"n={n}") for n in (5, 12))
    assert (many["arr_0"][:5] == few["arr_0"]).all()


def test_the_classes_asked_for_take_turns_and_each_is_drawn_as_such(run_of, tmp_path: Path) -> None:
    run = run_of("pixel_gpt")
    chosen = sample(run, tmp_path / "chosen", "n=12", "labels=[3,7]")
    assert chosen["arr_1"].tolist() == [3, 7] * 6
    every = sample(run, tmp_path / "every", "n=12")
    same = (chosen["arr_0"] == every["arr_0"]).reshape(12, -1).all(1)
    # image 3 was asked for as 7 here and as 3 there, image 7 as 7 both times
    assert every["arr_1"][7] == chosen["arr_1"][7] == 7
    assert same[7]
    assert not same[3]


def test_another_sampler_changes_the_name_the_images_and_their_cost(run_of, tmp_path: Path, capsys) -> None:
    run = Run(shutil.copytree(run_of("ddpm").path, tmp_path / "run"))
    asked = {"own": [], "ddim": ["sampler=ddim", "sampler.steps=5"], "ddpm": ["sampler=ddpm", "sampler.steps=7"]}
    asked["guided"] = [*asked["ddpm"], "sampler.guidance=8.5"]
    images, cost = {}, {}
    for which, overrides in asked.items():
        command("sample", f"run={run.path}", "n=6", *overrides)
        archive, sheet = (Path(path) for path in capsys.readouterr().out.removeprefix("6 images: ").split(" and "))
        assert archive.parent == run.samples
        assert Path(str(sheet).strip()).is_file()
        images[which] = (archive.name, np.load(archive)["arr_0"].tobytes())
        config = resolve(compose("sample", [f"run={run.path}", *overrides]))
        source = ModelSource(load_model(run, config["sampler"]), which)
        source.draw(0, range(2))
        assert source.cost is not None
        cost[which] = source.cost.nfe
    assert images["own"][0] == "n6_seed0.npz"
    assert images["ddim"][0] == "n6_seed0_ddim_steps5.npz"
    assert images["guided"][0] == "n6_seed0_ddpm_steps7_guidance8.5.npz"
    assert len({archive for archive, _ in images.values()}) == len({pixels for _, pixels in images.values()}) == 4
    assert cost == {"own": 4, "ddim": 5, "ddpm": 7, "guided": 14}


def test_a_file_name_says_what_was_asked_for() -> None:
    def named(*overrides: str) -> str:
        return name(resolve(compose("sample", ["run=x", *overrides])))

    assert named("n=5", "seed=2", "labels=[3,7]") == "n5_seed2_labels3-7"
    assert named("sampler=tokens", "sampler.temperature=0.5") == "n64_seed0_tokensampler_temperature0.5"
    guided = named("sampler=ddim", "sampler.guidance=2", "sampler.guidance_run=runs/worse/one")
    assert guided.startswith("n64_seed0_ddim_guidance2_guidance_run")
    assert "/" not in guided


@pytest.mark.parametrize(
    ("given", "written"),
    [("a.npz", "a"), ("a.png", "a"), ("a", "a"), ("v1.5", "v1.5"), ("new/folder/x", "new/folder/x")],
)
def test_out_names_both_files(given: str, written: str, run_of, tmp_path: Path) -> None:
    command("sample", f"run={run_of('vae').path}", "n=4", f"out={tmp_path / given}")
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*.*") if p.is_file()) == [
        f"{written}.npz",
        f"{written}.png",
    ]


@pytest.mark.parametrize(
    ("model", "overrides", "message"),
    [
        ("vae", ["labels=[3,10]"], r"labels=\[10\] are not among the run's classes 0 to 9"),
        ("vae", ["labels=[-1]"], r"labels = \[-1\]|labels.0 = -1"),
        ("vae", ["labels=[]"], r"labels=\[\] names no class"),
        ("vae", ["sampler=ddim"], "model=vae has no use for sampler=ddim: drop it"),
        (
            "ddpm",
            ["sampler=tokens"],
            "model=ddpm cannot use sampler=tokens: choose sampler=adaptive, consistency",
        ),
        ("ddpm", ["sampler=ddim", "sampler.steps=0"], "sampler.steps = 0: expected greater"),
        ("vae", ["n=0"], "n = 0: expected greater than or equal to 1"),
        ("vae", ["batch_size=0"], "batch_size = 0"),
        ("vae", ["seed=-1"], "seed = -1"),
        ("vae", ["device=cuda:99"], "device=cuda:99 is not to be had here .*: use device=auto or device=cpu"),
    ],
)
def test_what_cannot_be_drawn_is_refused(model: str, overrides: list, message: str, run_of, tmp_path: Path) -> None:
    run = run_of(model)
    with pytest.raises(ConfigError, match=message):
        command("sample", f"run={run.path}", f"out={tmp_path / 'x'}", *overrides)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("model", "overrides", "message"),
    [
        ("vae", ["labels=[3]"], "this run is unconditional: drop labels"),
        ("ddpm", ["sampler=ddim", "sampler.guidance=2"], "sampler.guidance=2 needs a conditional model"),
    ],
)
def test_an_unconditional_run_is_not_steered(model: str, overrides: list, message: str, run_of, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        command("sample", f"run={run_of(model, unconditional=True).path}", f"out={tmp_path / 'x'}", *overrides)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("config.yaml", "is not a run folder: it has no config.yaml"),
        ("training.json", "is not finished: run its `genbench train` command again"),
        ("weights.safetensors", "no weights at .*: the run folder is missing pieces"),
    ],
)
def test_a_run_folder_that_lacks_something_is_told(missing: str, message: str, run_of, tmp_path: Path) -> None:
    broken = shutil.copytree(run_of("vae").path, tmp_path / "broken")
    (broken / missing).unlink()
    with pytest.raises(RunError, match=message):
        command("sample", f"run={broken}", "n=4")
    assert not (broken / "samples").exists()


def test_a_run_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"no run folder at .*absent"):
        command("sample", f"run={tmp_path / 'absent'}")


def test_a_full_disk_keeps_the_old_files(run_of, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_of("vae")
    sample(run, tmp_path / "drawn", "n=4")
    before = {path.name: digest(path) for path in tmp_path.iterdir()}

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(RunError, match="No space left on device; what was there before is kept"):
        sample(run, tmp_path / "drawn", "n=4", "seed=1")
    assert {path.name: digest(path) for path in tmp_path.iterdir()} == before


def test_sampling_leaves_the_global_random_stream_alone(run_of, tmp_path: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    for model in FAMILIES:
        run = run_of(model)
        torch.manual_seed(5)
        source = ModelSource(load_model(run), model)
        torch.manual_seed(5)
        source.draw(0, range(2))
        assert torch.equal(torch.rand(3), expected), model
