"""Fifty-four kills at random moments of six families' trainings, each followed by the same command."""

import math
import multiprocessing
import random
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from killing import NEVER, Attempt, Moment, attempt, prepare
from tiny_runs import TINY, curves, digest

from genbench.run import Run

SMALL_UNET = ("backbone.channels=[8,8]", "backbone.embedding=16")
SMALL_TRANSFORMER = ("backbone.width=16", "backbone.layers=1", "backbone.heads=2")
CAPTIONED = ("data=shapes", "data.train_images=256", "data.test_images=64", "text_encoder=bag_of_words")
HUNTED = {
    "vae": ("model.channels=[8,16]",),
    "dcgan": ("model.channels=[8,16]",),
    "pixel_gpt": ("model.width=16", "model.layers=1", "model.heads=2"),
    "ddpm": SMALL_UNET,
    "ect": SMALL_UNET,
    "text_to_image": (*CAPTIONED, "features=pixels", *SMALL_TRANSFORMER),
}
IMAGES, BATCH = 384, 32
# most checkpoints lie between two records
OFTEN = (
    *(f"budget.images={IMAGES}", f"budget.batch_size={BATCH}"),
    *("training.checkpoint_every=64", "training.log_every=96"),
)
KILLS = 9

Hunter = Callable[..., Attempt]


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the trainings' processes would put files that lie nowhere else."""
    return tmp_path_factory.mktemp("scratch")


@pytest.fixture(scope="module")
def hunter(scratch: Path) -> Iterator[Hunter]:
    """Trains in a process of its own that dies at a moment: `hunter(overrides, folder, moment)`."""
    spawn = multiprocessing.get_context("spawn")
    with pytest.MonkeyPatch.context() as patch, ProcessPoolExecutor(1, spawn, prepare, (scratch,)) as pool:
        patch.setenv("OMP_NUM_THREADS", "1")
        yield lambda *arguments: pool.submit(attempt, *arguments).result()


@pytest.mark.slow
@pytest.mark.parametrize("family", HUNTED)
def test_killed_anywhere_again_and_again_equals_undisturbed(
    family: str, hunter: Hunter, scratch: Path, tmp_path: Path
) -> None:
    overrides = (f"model={family}", *TINY, *OFTEN, *HUNTED[family])
    train, chance = partial(hunter, overrides), random.Random(family)
    straight = Run(tmp_path / "straight")
    whole = train(straight.path, NEVER)
    assert whole.finished, whole.said

    folder, kills, at_work, story = 0, 0, 0, []  # the next folder is begun where a training outlives its moment
    while True:
        hunted = Run(tmp_path / str(folder))
        moment = drawn(kills, whole, chance) if kills < KILLS else NEVER
        found = train(hunted.path, moment)
        story.append(f"{folder} {moment} {found.said.splitlines()[-1:]}")
        if found.status == 0:
            assert found.finished
            assert differences(hunted, straight) == [], "\n".join(story)
            if moment is NEVER:
                break
            folder += 1
            continue
        assert found.status in (-signal.SIGKILL, -signal.SIGXFSZ), "\n".join([*story, found.said])
        kills, at_work = kills + 1, at_work + (found.started and not found.finished)
        if hunted.previous.is_file() and hunted.checkpoint.is_file() and chance.random() < 0.5:
            content = hunted.checkpoint.read_bytes()
            hunted.checkpoint.write_bytes(content[: chance.randrange(len(content))])
            story.append("newest checkpoint truncated")
    assert kills == KILLS
    assert at_work > 0.5 * KILLS, "\n".join(story)
    assert list(scratch.iterdir()) == []


def drawn(number: int, whole: Attempt, chance: random.Random) -> Moment:
    """A moment of what a whole training takes; bytes evenly by their logarithm, as files are of all sizes."""
    if number % 3 == 0:
        return Moment("second", chance.uniform(0.0, whole.seconds))
    if number % 3 == 1:
        return Moment("line", chance.randint(1, whole.lines))
    return Moment(
        "byte", math.exp(chance.uniform(math.log(300.0), math.log(500_000.0))), chance.randrange(0, IMAGES, BATCH)
    )


def differences(hunted: Run, straight: Run) -> list[str]:
    """In what two finished runs differ but the time they took, down to the names of their files."""
    names, expected_names = (sorted(path.name for path in run.path.iterdir()) for run in (hunted, straight))
    weights = [name for name in expected_names if name.endswith(".safetensors")]
    records, expected = curves(hunted), curves(straight)
    assert [record["images"] for record in expected] == list(range(96, IMAGES + 1, 96))
    return [
        *sorted({*names} ^ {*expected_names}),
        *(name for name in weights if digest(hunted.path / name) != digest(straight.path / name)),
        *(f"{found} is not {record}" for found, record in zip(records, expected, strict=False) if found != record),
        *([f"{len(records)} records"] if len(records) != len(expected) else []),
    ]
