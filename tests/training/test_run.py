import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from genbench import run as run_module
from genbench.core import RunError, files
from genbench.core.files import write_atomically, write_json
from genbench.identity import alike, recipe_hash
from genbench.run import Run

CONFIG = {"name": "m", "model": {"a": 1}, "seed": 3, "logger": None, "run_dir": "x"}
WEIGHTS = {"w": torch.arange(6.0).reshape(2, 3).T}


def test_create_open_finish(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "r", CONFIG, {"seed": 3})
    assert not run.finished
    run.checkpoint.write_bytes(b"state")
    run.best.write_bytes(b"state")
    run.finish(WEIGHTS, WEIGHTS, {"images": 5, "seconds": 1.0})
    again = Run.open(tmp_path / "r")
    assert again.finished
    assert again.summary == {"images": 5, "seconds": 1.0, "raw": "weights.safetensors"}
    assert again.manifest == {"seed": 3}
    assert again.config.model.a == 1
    assert torch.equal(load_file(again.weights)["w"], WEIGHTS["w"])
    assert not run.checkpoint.exists()
    assert not run.best.exists()


def test_raw_weights_are_kept_where_they_differ(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "r", CONFIG, {})
    with pytest.raises(RunError, match="not finished"):
        run.weights_of("raw")
    run.finish(WEIGHTS, {"w": WEIGHTS["w"] + 1}, {})
    assert (run.weights_of("ema"), run.weights_of("raw")) == (run.weights, run.raw)
    assert torch.equal(load_file(run.weights_of("raw"))["w"], WEIGHTS["w"] + 1)
    run.finish(WEIGHTS, WEIGHTS, {})
    assert run.weights_of("raw") == run.weights
    assert not run.raw.exists()


def test_a_run_without_raw_weights_names_the_fix(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "r", CONFIG, {})
    write_json(run.path / "training.json", {"images": 5})
    assert run.weights_of("ema") == run.weights
    with pytest.raises(RunError, match=r"protocol\.weights=ema, or train it again"):
        run.weights_of("raw")


def test_the_same_experiment_is_found_again_whatever_its_logger(tmp_path: Path) -> None:
    Run.create(tmp_path / "r", CONFIG, {"seed": 3})
    other = CONFIG | {"logger": {"x": 1}, "run_dir": "elsewhere"}
    assert Run.create(tmp_path / "r", other, {}).manifest == {"seed": 3}


def selecting(**training: object) -> dict[str, object]:
    return CONFIG | {
        "training": {"select": None, "preview_every": 10, "workers": 0} | training,
        "features": {"weights": "a"},
        "protocol": {"reference": "test", "samples": 10},
    }


def test_previews_are_part_of_an_experiment_that_selects_by_them() -> None:
    for plain in ({}, {"preview_every": 20}, {"preview_every": None}):
        assert recipe_hash(selecting(**plain), None) == recipe_hash(selecting(), None)
    by_fd = selecting(select="fd")
    hashes = {recipe_hash(config, None) for config in (selecting(), by_fd, selecting(select="kid"))}
    hashes.add(recipe_hash(selecting(select="fd", preview_every=20), None))
    hashes.add(recipe_hash(by_fd | {"features": {"weights": "b"}}, None))
    hashes.add(recipe_hash(by_fd | {"protocol": {"reference": "train", "samples": 10}}, None))
    assert len(hashes) == 6
    assert recipe_hash(by_fd | {"protocol": {"reference": "test", "samples": 99}}, None) == recipe_hash(by_fd, None)


def test_only_skipping_is_part_of_an_experiment_of_what_watches_over_it() -> None:
    def hashed(**training: object) -> str:
        return recipe_hash(CONFIG | {"training": {"clip": 1.0} | training}, None)

    assert hashed() == hashed(nonfinite="stop") == hashed(nonfinite="stop", watchdog=5.0, log_every=1)
    assert hashed(nonfinite="skip") == hashed(nonfinite="skip", watchdog=None) != hashed()


def test_how_much_disk_shards_may_take_is_no_part_of_an_experiment() -> None:
    def hashed(**data: object) -> str:
        return recipe_hash(CONFIG | {"data": {"root": "https://shards", "resident_limit": 5} | data}, None)

    assert hashed() == hashed(cache_limit=1) == hashed(cache_limit=2) != hashed(resident_limit=6)


def test_images_count_by_what_they_are_and_not_by_where_they_lie(tmp_path: Path) -> None:
    def config(**data: object) -> dict[str, object]:
        return CONFIG | {"data": {"root": "/home", "flip": False} | data}

    there = recipe_hash(config(), "a")
    assert there == recipe_hash(config(root="/scratch"), "a")
    assert len({there, recipe_hash(config(), "b"), recipe_hash(config(flip=True), "a")}) == 3
    data = {"name": "d", "train_sha256": "a", "test_sha256": "b"}
    Run.create(tmp_path / "r", config(), {"data": data})
    Run.create(tmp_path / "r", config(root="/scratch", test="there"), {"data": data | {"name": "e"}})
    for which in ("train", "test"):
        with pytest.raises(RunError, match=rf"the {which}(ing)? images have changed since .* \(sha256 . there, c here"):
            Run.create(tmp_path / "r", config(), {"data": data | {f"{which}_sha256": "c"}})


def test_what_is_measured_of_a_first_stage_is_no_part_of_an_experiment_that_knows_its_weights() -> None:
    def hashed(**stage: object) -> str:
        node = {"run": "r", "latent": None, "scale": 1.0, "sha256": "a"} | stage
        return recipe_hash(CONFIG | {"first_stage": node, "model": {"a": 1, "first_stage": node}}, None)

    assert hashed() == hashed(scale=1.0000001) == hashed(latent={"channels": 4}) != hashed(sha256="b")
    assert hashed(sha256=None) != hashed(sha256=None, scale=1.0000001)


def test_a_folder_of_before_selections_is_found_again(tmp_path: Path) -> None:
    old = CONFIG | {"training": {"clip": 1.0}}
    new = CONFIG | {"training": {"clip": 1.0, "select": None, "preview_every": 5}}
    Run.create(tmp_path / "r", old, {})
    assert Run.create(tmp_path / "r", new, {}).path == tmp_path / "r"
    assert recipe_hash(old, None) == recipe_hash(new, None)


def test_another_experiment_is_refused_and_its_difference_named(tmp_path: Path) -> None:
    Run.create(tmp_path / "r", CONFIG, {})
    with pytest.raises(RunError, match=r"model\.a: 1 there, 2 here"):
        Run.create(tmp_path / "r", CONFIG | {"model": {"a": 2}}, {})


def test_a_folder_with_other_things_is_never_taken(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(RunError, match="choose another run_dir"):
        Run.create(tmp_path, CONFIG, {})
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_a_failed_creation_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        Run.create(tmp_path / "r", CONFIG, {"bad": float("nan")})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("measured", [640, 704])
def test_of_two_that_make_a_folder_at_once_the_later_takes_the_firsts_unless_it_measured_otherwise(
    measured: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = {**CONFIG, "budget": {"seconds": 3, "images": 640}}

    def later(path: Path, value: object) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(run_module, "write_json", write_json)
            Run.create(tmp_path / "r", config, {"first": True})
        write_json(path, value)

    monkeypatch.setattr(run_module, "write_json", later)
    mine = {**CONFIG, "budget": {"seconds": 3, "images": measured}}
    if measured == 640:
        assert Run.create(tmp_path / "r", mine, {"first": False}).path == tmp_path / "r"
    else:
        with pytest.raises(RunError, match=r"another process trains in .*: wait for it, or choose another"):
            Run.create(tmp_path / "r", mine, {"first": False})
    assert Run.open(tmp_path / "r").manifest == {"first": True}
    assert [path.name for path in tmp_path.iterdir()] == ["r"]


def test_halves_of_the_trainings_files_are_tidied_up_and_no_others(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "r", CONFIG, {})
    own = {
        "checkpoint.partial",
        "kept.partial",
        "weights.safetensors",
        "ema/images-000000000640.safetensors",
        "samples/0000000640.png",
    }
    others = {"ema/length-0.1.safetensors", "samples/n4_seed0.npz", "results/ab.json", "results/.draws/0/0.safetensors"}
    halves = {name: run.path / name if name.endswith(".partial") else half(run.path / name) for name in own | others}
    for path in halves.values():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    run.tidy()
    assert {name for name, path in halves.items() if path.exists()} == others


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ({"sha256": "a", "folder": "there", "scale": 0.5 * (1 + 1e-6)}, True),  # another device has measured it
        ({"sha256": "a", "folder": "there", "scale": 0.6}, False),
        ({"sha256": "b", "folder": "here", "scale": 0.5}, False),
        (None, False),
    ],
)
def test_first_stages_are_alike_up_to_the_rounding_of_their_scale(other: dict | None, same: bool) -> None:
    assert alike("first_stage", {"sha256": "a", "folder": "here", "scale": 0.5}, other) is same


def half(path: Path) -> Path:
    """What `write_atomically` calls a file that is not whole."""
    return path.with_name(f".{path.name}.0123abcd.partial")


def test_missing_pieces_are_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no run folder"):
        Run.open(tmp_path / "absent")
    with pytest.raises(RunError, match=r"no config\.yaml"):
        Run.open(tmp_path)
    run = Run.create(tmp_path / "r", CONFIG, {})
    with pytest.raises(RunError, match="not finished"):
        _ = run.summary
    (run.path / "config.yaml").write_text("{unclosed")
    with pytest.raises(RunError, match=r"cannot read .*config\.yaml"):
        _ = run.config


def test_a_full_disk_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "results.json"
    write_json(path, {"fd": 1})

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(RunError, match="No space left on device"):
        write_atomically(path, b"half")
    assert json.loads(path.read_text()) == {"fd": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["results.json"]
