"""Runs as diffusers' pipelines and back: the same images from the same noise, and what cannot be one is refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_runs import Train, command

from genbench.app.build import load_model
from genbench.core import Condition, ConfigError, GenerativeModel, SeededNoise
from genbench.core.noise import image_seed
from genbench.run import Run

UNET = ("model.conditional=false", "backbone=unet2d_digits", "backbone.channels=[8,8]", "backbone.embedding=16")
BUSY = ("lr_scheduler.warmup=0", "optimizer.lr=2e-2")  # so that weights are far from their zero start
N = 4


def ours(model: GenerativeModel) -> torch.Tensor:
    """Images of seed 0, as the pipelines give them: in [0,1], [N,H,W,C]."""
    with torch.no_grad():
        image = model.sample(SeededNoise(0, range(N)), Condition())
    return (image / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1)


def theirs(pipeline: Any, **call: Any) -> torch.Tensor:
    """The same by a pipeline, from the generators that our noise is made of."""
    pipeline.set_progress_bar_config(disable=True)
    generators = [torch.Generator().manual_seed(image_seed(0, i)) for i in range(N)]
    return torch.from_numpy(pipeline(batch_size=N, generator=generators, output_type="np", **call).images)


@pytest.mark.parametrize(
    ("choices", "call"),
    [
        (
            ("sampler.steps=20", "scheduler=linear"),
            {"num_inference_steps": 20, "eta": 0.0, "use_clipped_model_output": True},
        ),
        (
            ("sampler.steps=10", "sampler.eta=1.0", "objective=v"),
            {"num_inference_steps": 10, "eta": 1.0, "use_clipped_model_output": True},
        ),
        (
            ("sampler.steps=10", "sampler.clip=none", "objective=x0", "scheduler.steps=250"),
            {"num_inference_steps": 10},
        ),
        (("sampler=ddpm", "sampler.steps=50", "scheduler=sigmoid", "objective=v"), {"num_inference_steps": 50}),
    ],
)
def test_both_libraries_draw_the_same_images_both_ways(
    finished: Train, tmp_path: Path, capsys, choices: tuple[str, ...], call: dict[str, Any]
) -> None:
    import diffusers

    run = finished("ddpm", *UNET, *BUSY, *choices)
    command("export", f"run={run.path}", f"out={tmp_path / 'out'}")
    kind = "DDPMPipeline" if "sampler=ddpm" in choices else "DDIMPipeline"
    assert f"{kind}.from_pretrained('{tmp_path / 'out'}')(num_inference_steps=" in capsys.readouterr().out
    expected = ours(load_model(run))
    assert expected.std() > 0.05
    found = theirs(getattr(diffusers, kind).from_pretrained(tmp_path / "out"), **call)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)

    command("import_diffusers", f"folder={tmp_path / 'out'}", "data=digits", f"run_dir={tmp_path / 'back'}")
    steps = {"_target_": f"genbench.diffusion.samplers.{kind.removesuffix('Pipeline')}"}
    imported = Run.open(tmp_path / "back")
    own = {key: value for key, value in imported.config.sampler.items() if key != "_target_"}
    again = {**steps, **own, "steps": call["num_inference_steps"], **({"eta": call["eta"]} if "eta" in call else {})}
    torch.testing.assert_close(ours(load_model(imported, again)), expected, rtol=0, atol=1e-4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pipeline of another network than ours, with settings of its own, as diffusers writes it."""
    from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel

    torch.manual_seed(0)
    unet = UNet2DModel(
        sample_size=8,
        in_channels=1,
        out_channels=1,
        block_out_channels=(8, 16),
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        layers_per_block=1,
        attention_head_dim=4,
        norm_num_groups=4,
        resnet_time_scale_shift="scale_shift",
    )
    scheduler = DDPMScheduler(40, beta_schedule="squaredcos_cap_v2", variance_type="fixed_large")
    path = tmp_path_factory.mktemp("theirs") / "theirs"
    DDPMPipeline(unet, scheduler).save_pretrained(path)
    return path


def test_a_pipeline_made_elsewhere_is_judged_as_a_run(folder: Path, tmp_path: Path) -> None:
    from diffusers import DDPMPipeline

    command("import_diffusers", f"folder={folder}", "data=digits", f"run_dir={tmp_path / 'run'}")
    run = Run.open(tmp_path / "run")
    expected = theirs(DDPMPipeline.from_pretrained(folder), num_inference_steps=40)
    torch.testing.assert_close(ours(load_model(run)), expected, rtol=0, atol=1e-4)

    summary = run.summary
    assert (summary["images"], summary["seconds"]) == (None, None)
    assert summary["imported"]["folder"] == str(folder)
    assert "training" not in run.config
    command("evaluate", f"run={run.path}", "protocol=quick", "sampler=ddim", "sampler.steps=4", f"out={tmp_path / 'r'}")
    result = json.loads((tmp_path / "r").read_text())
    assert result["nfe"] == 4
    assert result["likelihood"] == "vlb"
    command("report", f"runs={run.path}", f"out={tmp_path / 'report'}")
    (row,) = json.loads((tmp_path / "report" / "leaderboard.json").read_text())
    assert row["images"] is None
    with pytest.raises(ConfigError, match=r"is there already: .* run_dir="):
        command("import_diffusers", f"folder={folder}", "data=digits", f"run_dir={run.path}")


def test_files_of_the_first_versions_lie_at_the_top(folder: Path, tmp_path: Path) -> None:
    flat = Path(shutil.copytree(folder, tmp_path / "flat"))
    for part in ("unet", "scheduler"):
        for path in (flat / part).iterdir():
            path.rename(flat / path.name)
        (flat / part).rmdir()
    command("import_diffusers", f"folder={flat}", "data=digits", f"run_dir={tmp_path / 'run'}")
    assert load_model(Run.open(tmp_path / "run")).backbone.steps == 40


def edit(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: shutil.rmtree(f), "is no folder: give one that save_pretrained wrote"),
        (lambda f: (f / "model_index.json").unlink(), r"model_index\.json is missing: give a folder that"),
        (
            lambda f: edit(f / "model_index.json", _class_name="StableDiffusionPipeline"),
            "has class_name StableDiffusion",
        ),
        (lambda f: (f / "unet" / "config.json").write_text("{"), r"config\.json cannot be read"),
        (lambda f: edit(f / "unet" / "config.json", _class_name="DiTTransformer2DModel"), "expected UNet2DModel"),
        (lambda f: edit(f / "unet" / "config.json", num_class_embeds=10), "takes labels: only unconditional"),
        (lambda f: edit(f / "unet" / "config.json", sample_size=32), r"draws images of \(1, 32, 32\), but the data"),
        (lambda f: edit(f / "unet" / "config.json", block_out_channels=[8, 24]), "cannot be read as its config"),
        (lambda f: (f / "scheduler" / "scheduler_config.json").unlink(), r"scheduler_config\.json is missing"),
        (
            lambda f: edit(f / "scheduler" / "scheduler_config.json", _class_name="PNDMScheduler"),
            "PNDMScheduler, of which there is no equal here: expected DDPMScheduler or DDIMScheduler",
        ),
        (
            lambda f: edit(f / "scheduler" / "scheduler_config.json", variance_type="learned_range"),
            "variance_type learned_range",
        ),
        (
            lambda f: (f / "unet" / "diffusion_pytorch_model.safetensors").rename(
                f / "unet" / "diffusion_pytorch_model.bin"
            ),
            r"safetensors is missing: save the pipeline with safe_serialization=True",
        ),
    ],
)
def test_folders_that_cannot_be_a_run_are_refused(folder: Path, tmp_path: Path, spoil: Any, message: str) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    spoil(copy)
    with pytest.raises(ConfigError, match=message):
        command("import_diffusers", f"folder={copy}", "data=digits", f"run_dir={tmp_path / 'run'}")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("model", "overrides", "message"),
    [
        ("vae", (), "give a run of model=ddpm"),
        ("ddpm", ("sampler.steps=3",), r"take no labels: train with model\.conditional=false"),
        ("ddpm", ("model.conditional=false", "sampler.steps=3"), "train with backbone=unet2d_digits"),
    ],
)
def test_runs_that_no_pipeline_can_draw_from_are_refused(
    finished: Train, tmp_path: Path, model: str, overrides: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        command("export", f"run={finished(model, *overrides).path}", f"out={tmp_path / 'out'}")
    assert not any(tmp_path.iterdir())


def test_samplers_that_no_pipeline_has_are_refused(finished: Train, tmp_path: Path) -> None:
    run = finished("ddpm", *UNET, *BUSY, "sampler.steps=20", "scheduler=linear")
    for sampler, message in (
        (("sampler=heun",), "give sampler=ddim or sampler=ddpm"),
        (("sampler=ddim", "sampler.clip=dynamic"), "clip=static or none"),
        (("sampler=ddpm", "sampler.variance=large"), r"noise in the last of sampler\.steps=250 steps"),
        (("sampler=ddim", "sampler.steps=30"), r"sampler\.steps=30 does not divide 1000"),
    ):
        with pytest.raises(ConfigError, match=message):
            command("export", f"run={run.path}", f"out={tmp_path / 'out'}", *sampler)
    (tmp_path / "out").mkdir()
    with pytest.raises(ConfigError, match="is there already: name another folder"):
        command("export", f"run={run.path}", f"out={tmp_path / 'out'}")
