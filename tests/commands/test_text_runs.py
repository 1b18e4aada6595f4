"""Captions from training to sampling: what the config keeps, what is cached, prompts, and what is refused."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_runs import TINY, command
from torch import Tensor

from genbench.app.build import load_model
from genbench.app.collect import cells
from genbench.app.compose import compose
from genbench.app.training import train
from genbench.conditioning.text.hugging_face import HuggingFaceEncoder
from genbench.core import ConfigError, DataError
from genbench.run import Run
from small_language_models import save_language_model

CAPTIONS = ["a red circle", "a blue square", "a green triangle above a red circle", ""]
SHORT = ("backbone.width=16", "backbone.layers=1", "backbone.heads=2", "sampler.steps=3")
LEARNT = ("budget.images=640", "budget.batch_size=16", "optimizer.lr=3e-2", "lr_scheduler.warmup=0")
BASE = ("model=text_to_image", *TINY, *SHORT, *LEARNT, "features=inception")


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random pictures with four captions in turn."""
    path = tmp_path_factory.mktemp("data") / "captioned.npz"
    images = np.random.default_rng(0).integers(0, 256, (80, 8, 8, 3), np.uint8)
    np.savez(path, images=images, captions=np.array([CAPTIONS[i % 4] for i in range(80)]))
    return path


@pytest.fixture(scope="session")
def language_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_language_model("bert", tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="session")
def run_of(archive: Path, language_model: Path, tmp_path_factory: pytest.TempPathFactory):
    """A finished run with a text encoder, trained once each: `run_of("learned")`."""
    made: dict[str, Run] = {}

    def make(encoder: str) -> Run:
        if encoder not in made:
            chosen = [f"text_encoder={encoder}", "data=npz", f"data.train={archive}"]
            if encoder == "hugging_face":
                chosen.append(f"text_encoder.model={language_model}")
            folder = tmp_path_factory.mktemp("runs") / encoder
            made[encoder] = train(compose("train", [*BASE, *chosen, f"run_dir={folder}"]))
        return made[encoder]

    return make


def sample(run: Run, out: Path, *overrides: str) -> dict[str, np.ndarray]:
    command("sample", f"run={run.path}", f"out={out}", *overrides)
    with np.load(out.with_suffix(".npz"), allow_pickle=False) as found:
        return dict(found)


@pytest.mark.parametrize("encoder", ["hugging_face", "learned", "bag_of_words"])
def test_a_run_draws_the_prompt_from_its_folder_alone(encoder: str, run_of, archive: Path, tmp_path: Path) -> None:
    run = run_of(encoder)
    drawn = sample(run, tmp_path / "x", "prompt='a blue square'", "n=5")
    assert drawn.keys() == {"arr_0", "captions"}
    assert drawn["arr_0"].shape == (5, 8, 8, 3)
    assert drawn["captions"].tolist() == ["a blue square"] * 5
    again = sample(run, tmp_path / "y", "prompt='a blue square'", "n=5", "batch_size=2")
    assert (drawn["arr_0"] == again["arr_0"]).all()
    other = sample(run, tmp_path / "z", "prompt='a red circle'", "n=5")
    assert (drawn["arr_0"] != other["arr_0"]).any()


def test_the_frozen_encoder_is_in_the_config_and_not_in_the_weights(run_of, language_model: Path) -> None:
    from safetensors.torch import load_file

    run = run_of("hugging_face")
    node = run.config.text_encoder
    assert node.model == str(language_model)
    assert node.sha256 == HuggingFaceEncoder(str(language_model)).sha256
    saved = load_file(run.weights)
    assert {name for name in saved if name.startswith("text.")} == {
        *(f"text.{layer}.{kind}" for layer in ("pool", "project") for kind in ("weight", "bias")),
        "text.null",
    }
    model, twin = load_model(run), load_model(run)
    caption = ["a red circle", "a green triangle"]
    states = [m.text.encoder.read(caption, torch.device("cpu")).states for m in (model, twin)]  # type: ignore[union-attr]
    torch.testing.assert_close(*states, atol=0, rtol=0)


def test_features_that_will_not_judge_the_data_are_told_before_the_training(
    archive: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    chosen = ["text_encoder=bag_of_words", "data=npz", f"data.train={archive}", "features=digits"]
    train(compose("train", [*BASE, *chosen, "budget.images=16", f"run_dir={tmp_path / 'run'}"]))
    told = (
        "this training cannot be judged as it stands: features=digits judges 8x8x1 images of 10 classes, but the data"
    )
    assert [message for message in caplog.messages if message.startswith(told)]
    assert "use features=pixels protocol=shapes where captions are judged" in caplog.text


def test_words_of_the_training_captions_are_kept_and_trained(run_of) -> None:
    from safetensors.torch import load_file

    run = run_of("learned")
    assert list(run.config.text_encoder.vocabulary) == sorted({*" ".join(CAPTIONS).split()})
    assert "text.encoder.table.weight" in load_file(run.weights)


def test_a_language_model_that_changed_since_is_refused(
    run_of, language_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(shutil.copytree(run_of("hugging_face").path, tmp_path / "run"))
    config = (run.path / "config.yaml").read_text()
    other = save_language_model("t5", tmp_path / "other")
    (run.path / "config.yaml").write_text(config.replace(str(language_model), str(other)))
    with pytest.raises(ConfigError, match=r"text_encoder\.sha256=.* is asked for: put those back"):
        load_model(run)
    (run.path / "config.yaml").write_text(config.replace(str(language_model), str(tmp_path / "gone")))
    with pytest.raises(ConfigError, match=r"gone is neither a folder nor in the cache"):
        load_model(run)


def test_captions_are_read_once_for_all_trainings(
    archive: Path, language_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENBENCH_CACHE", str(tmp_path / "cache"))
    read: list[str] = []
    encode = HuggingFaceEncoder.encode

    def counted(self: HuggingFaceEncoder, captions: list[str], device: torch.device) -> list[Tensor]:
        read.extend(captions)
        return encode(self, captions, device)

    monkeypatch.setattr(HuggingFaceEncoder, "encode", counted)
    chosen = ["data=npz", f"data.train={archive}", "text_encoder=hugging_face", f"text_encoder.model={language_model}"]
    digests = []
    for name in ("a", "b"):
        run = train(compose("train", [*BASE, *chosen, f"run_dir={tmp_path / name}"]))
        digests.append(run.weights.read_bytes())
        assert sorted(read) == sorted(CAPTIONS[:3])  # the empty one needs no language model
    assert digests[0] == digests[1]
    (kept,) = (tmp_path / "cache" / "captions").iterdir()
    kept.write_bytes(b"damaged")
    train(compose("train", [*BASE, *chosen, f"run_dir={tmp_path / 'c'}"]))
    assert len(read) == 6
    train(compose("train", [*BASE, *chosen, "text_encoder.layer=-2", f"run_dir={tmp_path / 'd'}"]))
    assert len(read) == 9


def test_prompts_of_a_file_take_turns(run_of, tmp_path: Path) -> None:
    file = tmp_path / "prompts.txt"
    file.write_bytes("\ufeffa red circle\r\n\na <b>blue</b> square é\n".encode())
    drawn = sample(run_of("learned"), tmp_path / "x", f"prompts={file}", "n=5")
    captions = ["a red circle", "", "a <b>blue</b> square é"]
    assert drawn["captions"].tolist() == [captions[i % 3] for i in range(5)]
    alone = sample(run_of("learned"), tmp_path / "y", "prompt=''", "n=2")
    assert (alone["arr_0"][1] == drawn["arr_0"][1]).all()  # image 1 of both is drawn without a caption


def test_prompts_decide_the_name(run_of, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(shutil.copytree(run_of("learned").path, tmp_path / "run"))
    for prompt in ("a red circle", "a blue square"):
        command("sample", f"run={run.path}", "n=2", f"prompt='{prompt}'")
    assert len(list(run.samples.glob("n2_seed0_prompt????????.npz"))) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a red circle\na bl\xfce square\n", r"prompts\.txt, line 2: not UTF-8 .*: save the file as UTF-8"),
        (b"", r"prompts\.txt is empty: write one prompt a line"),
        (None, r"prompts\.txt cannot be read \(No such file"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(content: bytes | None, message: str, run_of, tmp_path: Path) -> None:
    file = tmp_path / "prompts.txt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(DataError, match=message):
        sample(run_of("learned"), tmp_path / "x", f"prompts={file}")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ([], "give prompt='a small red circle' or prompts=FILE with one a line: this run draws what captions say"),
        (["prompt=a", "prompts=b.txt"], "and not both"),
        (["prompt=a", "labels=[1]"], "this run reads captions: give a prompt and drop labels"),
    ],
)
def test_what_cannot_be_drawn_names_the_fix(overrides: list[str], message: str, run_of, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        sample(run_of("learned"), tmp_path / "x", *overrides)
    assert list(tmp_path.iterdir()) == []


def test_a_run_without_captions_takes_no_prompt(finished, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"prompt=a: this run reads no captions: leave it out"):
        sample(finished("vae"), tmp_path / "x", "prompt=a")


def test_data_without_captions_are_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"digits has none: use data=shapes, an npz"):
        train(compose("train", [*BASE, "features=digits", "data=digits", f"run_dir={tmp_path / 'run'}"]))
    assert not (tmp_path / "run").exists()


def test_reports_call_it_text_to_image(run_of, finished) -> None:
    (text,), (plain,) = cells([run_of("learned")]), cells([finished("ddpm")])
    assert (text["family"], plain["family"]) == ("text-to-image", "diffusion")


def test_previews_draw_the_captions_of_what_they_are_compared_with(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from genbench.app import preview

    monkeypatch.setattr(preview, "DRAWN", 12)
    monkeypatch.setattr(preview, "Probe", lambda *_: lambda image: {"fd": float(len(image))})
    chosen = ["data=npz", f"data.train={archive}", "text_encoder=bag_of_words", "training.preview_every=640"]
    from genbench.features import DomainClassifier

    monkeypatch.setattr(DomainClassifier, "check", lambda self, spec: None)
    run = train(compose("train", [*BASE, "features=digits", *chosen, f"run_dir={tmp_path / 'run'}"]))
    assert (run.samples / "0000000640.png").is_file()


def test_latents_are_drawn_from_captions(archive: Path, tmp_path: Path) -> None:
    data = ["data=npz", f"data.train={archive}", "features=inception"]
    vae = train(compose("train", ["model=vae", *TINY, *data, "model.conditional=false", f"run_dir={tmp_path / 'vae'}"]))
    latent = ["first_stage=run", f"first_stage.run={vae.path}", "backbone=dit_text", "backbone.patch=1"]
    run = train(compose("train", [*BASE, *data, *latent, "text_encoder=bag_of_words", f"run_dir={tmp_path / 'run'}"]))
    drawn = sample(run, tmp_path / "x", "prompt='a red circle'", "n=3")
    assert drawn["arr_0"].shape == (3, 8, 8, 3)


def test_a_tuned_run_starts_from_its_teachers_text(run_of, archive: Path, tmp_path: Path, caplog) -> None:
    teacher = run_of("learned")
    chosen = ["model=ect", *TINY, "budget.images=128", "data=npz", f"data.train={archive}", "features=inception"]
    other = [*chosen, "text_encoder=bag_of_words", f"start={teacher.path}", f"run_dir={tmp_path / 'x'}"]
    with pytest.raises(ConfigError, match="text_encoder=learned"):
        train(compose("train", [*other, "scheduler=flow", "objective=velocity", "backbone=uvit_text", *SHORT[:3]]))


def test_fewer_images_than_prompts_are_refused(run_of, tmp_path: Path) -> None:
    file = tmp_path / "prompts.txt"
    file.write_text("a red circle\na blue square\na green triangle\n")
    with pytest.raises(ConfigError, match="n=2 leaves out prompts, of which there are 3: use n=3"):
        sample(run_of("learned"), tmp_path / "x", f"prompts={file}", "n=2")
