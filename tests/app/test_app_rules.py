"""Every combination of choices runs or is refused by one line that names the fix."""

import itertools

import pytest
import torch
from hydra.utils import instantiate

from genbench.app.build import build
from genbench.app.listing import groups
from genbench.app.paths import conf_dir
from genbench.app.rules import check_rules, slots
from genbench.app.validate import validate_config
from genbench.core import Condition, ConfigError, GenerativeModel, SeededNoise

DIFFUSIONS = ("ddpm", "ect", "text_to_image")
OWN = {"text_to_image": ["+data.spec.captions=true", "text_encoder=bag_of_words", "text_encoder.vocabulary=[red]"]}
"""What a recipe needs that the digits have not."""

PARTS = ("scheduler", "objective", "sampler")
FOUND = groups([conf_dir()])
MODELS = list(FOUND["model"])
RUNS = {
    "vae": [("none", "none", "none")],
    "dcgan": [("none", "none", "none")],
    "pixel_gpt": [("none", "none", "tokens")],
    "ddpm": [
        (schedule, objective, sampler)
        for schedule, objective, sampler in itertools.product(*(FOUND[part] for part in PARTS))
        if "none" not in (schedule, objective, sampler)
        and sampler != "tokens"
        and not (schedule in ("edm", "flow") and (objective == "learned_variance" or sampler == "diffusers"))
        and not (schedule == "flow" and objective == "epsilon")
    ],
}
RUNS["text_to_image"] = RUNS["ddpm"]


def refusal(config: dict) -> str:
    with pytest.raises(ConfigError) as refused:
        check_rules(config)
    return str(refused.value)


@pytest.mark.parametrize("model", MODELS)
def test_every_combination_runs_or_is_refused_in_a_line(train, model):
    """Models x schedules x objectives x samplers: what no rule refuses is valid, builds, and draws an image."""
    parts = {part: {choice: train(f"{part}={choice}")[part] for choice in FOUND[part]} for part in PARTS}
    base, runs, refusals = train(f"model={model}", *OWN.get(model, [])), [], []
    for combination in itertools.product(*(FOUND[part] for part in PARTS)):
        if model not in DIFFUSIONS and combination.count("none") < 2:
            continue  # one choice too many is refused as surely as two
        config = combined(base, {part: parts[part][choice] for part, choice in zip(PARTS, combination, strict=True)})
        try:
            check_rules(config)
        except ConfigError as error:
            message = str(error)
            assert "\n" not in message
            assert message.startswith(f"model={model} ")
            assert ": choose " in message or ": drop " in message
            continue
        validate_config(config)
        try:
            built = build(config["model"])
        except ConfigError as error:  # what only the parts themselves can tell
            refusals.append(str(error))
            continue
        assert isinstance(built, GenerativeModel)
        runs.append(combination)
    assert all("\n" not in line and ("use " in line or "goes with" in line) for line in refusals)
    assert runs == RUNS.get(model, runs)
    assert runs, f"model={model} cannot be run at all"


def combined(base: dict, parts: dict) -> dict:
    """The composed config with other parts, where interpolation would have put them."""
    model = {
        key: next((parts[p] for p in PARTS if base[p] and value == base[p]), value)
        for key, value in base["model"].items()
    }
    if parts["objective"] and parts["objective"]["_target_"].endswith("LearnedVariance") and "backbone" in model:
        model["backbone"] = {**model["backbone"], "outputs": 2}  # as its yaml does
    return {**base, **parts, "model": model}


def test_parts_set_by_hand_equal_composed_ones(train):
    by_hand = combined(
        train("model=ddpm"),
        {p: train(f"{p}={c}")[p] for p, c in zip(PARTS, ("linear", "epsilon", "ddpm"), strict=True)},
    )
    assert by_hand == train("model=ddpm", "scheduler=linear", "sampler=ddpm")


@pytest.mark.parametrize("model", MODELS)
def test_a_recipe_as_it_stands_draws_images(train, model):
    steps = ["sampler.steps=2"] if model in ("ddpm", "text_to_image") else []
    config = train(f"model={model}", *OWN.get(model, []), *steps)
    check_rules(config)
    built = instantiate(config["model"], _convert_="all").eval()
    with torch.no_grad():
        image = built.sample(SeededNoise(0, range(2)), Condition(torch.tensor([3, 7]), ["red", ""]))
    assert image.shape == (2, 1, 8, 8)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["model=vae", "scheduler=cosine"],
            "model=vae has no use for scheduler=cosine: drop it, or use model=ddpm, ect or text_to_image",
        ),
        (
            ["model=dcgan", "scheduler=linear", "objective=epsilon", "sampler=ddim"],
            "model=dcgan has no use for scheduler=linear, objective=epsilon, sampler=ddim: "
            "drop them, or use model=ddpm, ect or text_to_image",
        ),
        (
            ["model=vae", "sampler=tokens"],
            "model=vae has no use for sampler=tokens: drop it, or use model=pixel_gpt",
        ),
        (
            ["model=vae", "sampler=tokens", "scheduler=linear"],
            "model=vae has no use for scheduler=linear, sampler=tokens: drop them",
        ),
        (
            ["model=ddpm", "scheduler=none"],
            "model=ddpm needs a noise schedule: choose scheduler=cosine, edm, flow, linear or sigmoid",
        ),
        (
            ["model=ddpm", "objective=none"],
            "model=ddpm needs a diffusion objective: choose objective=edm, epsilon, learned_variance, v, velocity or "
            "x0",
        ),
        (
            ["model=ddpm", "sampler=tokens"],
            "model=ddpm cannot use sampler=tokens: choose sampler=adaptive, consistency, ddim, ddpm, diffusers, "
            "dpmpp_2m, dpmpp_2m_sde, dpmpp_3m, heun, midpoint or rk4",
        ),
        (
            ["model=ddpm", "weighting=none"],
            "model=ddpm needs a loss weighting: choose weighting=edm, min_snr, min_snr_soft, p2, sigmoid, uniform or "
            "velocity",
        ),
        (
            ["model=ddpm", "times=none"],
            "model=ddpm needs a density of training times: choose times=log_normal, logit_normal, stratified or "
            "uniform",
        ),
        (
            ["model=vae", "coupling=optimal_transport"],
            "model=vae has no use for coupling=optimal_transport: drop it, or use model=ddpm or text_to_image",
        ),
        (
            ["model=vae", "objective=learned_variance"],
            "model=vae has no use for objective=learned_variance: drop it, or use model=ddpm, ect or text_to_image",
        ),
        (["model=pixel_gpt", "sampler=ddim"], "model=pixel_gpt cannot use sampler=ddim: choose sampler=tokens"),
    ],
)
def test_rules_name_the_fix(train, overrides, message):
    assert refusal(train(*overrides)) == message


def test_an_argument_that_only_shares_a_groups_name_is_no_part():
    """DCGAN's `objective` is the name of a loss, not a diffusion objective."""
    from genbench.families.diffusion import Diffusion
    from genbench.families.gan import DCGAN

    assert slots(DCGAN) == {}
    assert {group: slot.required for group, slot in slots(Diffusion).items()} == dict.fromkeys(
        (*PARTS, "backbone", "weighting", "times"), True
    ) | {"coupling": False, "first_stage": False, "text_encoder": False, "likelihood": False}


def test_features_of_other_data_are_refused_where_they_would_judge(train):
    other = ["data.spec.height=28", "data.spec.width=28", "features=digits"]
    assert "features=inception" in refusal(train(*other, "training.preview_every=1000"))
    check_rules(train(*other))  # nothing judges
    check_rules(train("data.spec=null", "features=digits", "training.preview_every=1000"))  # nothing known yet


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model=ddpm", "model.conditional=false", "sampler.guidance=2"], "model.conditional=true"),
        (["model=ddpm", "model.label_dropout=0", "sampler.guidance=2"], "sampler.guidance=1"),
        (["model=ddpm", "objective=learned_variance", "backbone.outputs=1"], "use backbone.outputs=2"),
        (["model=ddpm", "scheduler=flow"], "use objective=velocity or v"),
        (["model=ddpm", "sampler.steps=1001"], "sampler.steps is 1001; expected 1 to scheduler.steps=1000"),
        (["model=ddpm", "backbone.channels=[8,16,32,64,128]"], "backbone.channels at most 4 entries"),
        (["model=vae", "data.spec.height=7"], "model.channels at most 1 entries"),
        *(([f"model={m}", "data.spec.num_classes=0"], "use model.conditional=false") for m in MODELS if m not in OWN),
        (["model=text_to_image"], "use data=shapes, an npz with an array"),
        (["model=text_to_image", *OWN["text_to_image"], "model.conditional=false"], "use model.conditional=true"),
        (["model=text_to_image", *OWN["text_to_image"], "model.label_dropout=0"], "model.label_dropout=0.1"),
        (["model=ddpm", "backbone=dit_text"], "attends to a text, and nothing reads one: use a text_encoder"),
        (["model=pixel_gpt", "model.max_tokens=63"], "model.max_tokens=63"),
    ],
)
def test_what_constructors_refuse_names_the_fix(train, overrides, message):
    """These are no rules: the constructors say it, in one line, before anything runs."""
    config = train(*overrides)
    check_rules(config)
    validate_config(config)
    with pytest.raises(Exception) as refused:  # noqa: PT011  Hydra wraps it
        instantiate(config["model"], _convert_="all")
    assert isinstance(refused.value.__cause__, ConfigError)
    assert message in str(refused.value.__cause__)
    assert "\n" not in str(refused.value.__cause__)


def test_a_model_from_elsewhere_obeys_the_rules_too(train):
    """A saved config, or a recipe outside conf/: names come from the target where no choice has it."""
    config = train("model=ddpm", "scheduler=none")
    config["model"]["_target_"] = f"{__name__}.Mine"
    with pytest.raises(ConfigError, match=r"^model=Mine needs a noise schedule: choose scheduler=cosine, "):
        check_rules(config)


def test_a_target_that_cannot_be_imported_is_left_to_validation(train):
    config = train("model=ddpm")
    config["model"]["_target_"] = "genbench.nowhere.Model"
    check_rules(config)
    with pytest.raises(ConfigError, match=r"model._target_ = \"genbench.nowhere.Model\": cannot be imported"):
        validate_config(config)


from genbench.families.diffusion import Diffusion  # noqa: E402


class Mine(Diffusion):
    """A model that no choice names."""
