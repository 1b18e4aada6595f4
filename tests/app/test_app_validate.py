"""Values against annotations: every error at once, each with its path, value and what was expected."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from omegaconf import OmegaConf
from pydantic import Field

from genbench.app import cli
from genbench.app.build import resolve
from genbench.app.compose import compose
from genbench.app.validate import LATER, Section, validate, validate_config
from genbench.core import ConfigError, ImageSpec

HERE = __name__


class Part:
    def __init__(self, size: int = 1) -> None:
        raise AssertionError("validation must build nothing")


class Better(Part):
    pass


class Other:
    pass


def make_part(size: int) -> Part:
    raise AssertionError("validation must call nothing")


def make_anything(**options: Any):
    raise AssertionError("validation must call nothing")


@dataclass
class Inner(Section):
    count: Annotated[int, Field(ge=1)]


@dataclass
class Everything(Section):
    integer: int = 1
    real: float = 1.0
    flag: bool = True
    text: str | None = None
    path: Path | str | None = None
    kind: Literal["a", "b"] = "a"
    pair: tuple[int, float] = (1, 1.0)
    many: tuple[int, ...] = ()
    numbers: Sequence[int] = ()
    free: Any = None
    table: Mapping[str, float] | None = None
    part: Part | None = None
    parts: Sequence[Part] = ()
    named: dict[str, Part] | None = None
    later: Annotated[Part | None, LATER] = None
    call: Callable[[int], int] | None = None
    spec: ImageSpec = None
    inner: Inner = None


def errors(**values: Any) -> list[str]:
    try:
        validate(values, Everything)
    except ConfigError as error:
        return [line.strip() for line in str(error).splitlines() if not line.endswith("do not fit:")]
    return []


def node(target: str, **arguments: Any) -> dict:
    return {"_target_": f"{HERE}.{target}", **arguments}


@pytest.mark.parametrize(
    "values",
    [
        {"integer": -3},
        {"real": 3},
        {"real": float("inf")},
        {"text": None},
        {"path": "a/b"},
        {"kind": "b"},
        {"pair": [1, 2]},
        {"many": [1, 2, 3]},
        {"numbers": []},
        {"free": [{"a": 1}, "b"]},
        {"table": {"a": 1}},
        {"part": node("Part", size=2)},
        {"part": node("Better")},
        {"part": node("make_part", size=2)},
        {"parts": [node("Part"), node("Better", size=3)]},
        {"named": {"x": node("Part")}},
        {"later": node("make_part", _partial_=True)},
        {"inner": {"count": 1}},
        {"spec": None},  # known once the data are opened
    ],
)
def test_accepts(values):
    assert errors(**values) == []


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"integer": "abc"}, 'integer = "abc": expected an integer'),
        ({"integer": "3"}, 'integer = "3": expected an integer'),
        ({"integer": True}, "integer = true: expected an integer"),
        ({"integer": 1.5}, "integer = 1.5: expected an integer"),
        ({"integer": None}, "integer = null: expected an integer"),
        ({"real": "fast"}, 'real = "fast": expected a number'),
        ({"real": False}, "real = false: expected a number"),
        ({"flag": 1}, "flag = 1: expected true or false"),
        ({"text": 3}, "text = 3: expected a string"),
        ({"kind": "c"}, "kind = \"c\": expected 'a' or 'b'"),
        ({"pair": [1, "x"]}, 'pair.1 = "x": expected a number'),
        ({"pair": [1]}, "pair = [1]: expected a list of 2: int, float"),
        ({"many": 3}, "many = 3: expected a list"),
        ({"numbers": [1, "x"]}, 'numbers.1 = "x": expected an integer'),
        ({"table": {"a": "x"}}, 'table.a = "x": expected a number'),
        ({"integer": {"a": 1}}, 'integer = {"a": 1}: expected int'),
        ({"part": 3}, "part = 3: expected Part or null"),
        ({"part": {"size": 1}}, 'part = {"size": 1}: expected Part or null'),
        ({"part": node("Part", size="x")}, 'part.size = "x": expected an integer'),
        ({"part": node("Part", sizes=1)}, "part.sizes: unknown; did you mean size?"),
        ({"part": node("make_part")}, "part.size: missing; expected int"),
        ({"part": node("Other")}, f'part._target_ = "{HERE}.Other": expected Part or null'),
        ({"parts": [node("Part"), node("Other")]}, f'parts.1._target_ = "{HERE}.Other": expected Part'),
        ({"named": {"x": node("Other")}}, f'named.x._target_ = "{HERE}.Other": expected Part'),
        ({"inner": {"count": 0}}, "inner.count = 0: expected greater than or equal to 1"),
        ({"inner": {}}, "inner.count: missing; expected int"),
        ({"inner": {"count": 1, "cuont": 1}}, "inner.cuont: unknown; did you mean count?"),
        ({"inner": 3}, "inner = 3: expected Inner"),
        ({"zzz": 3}, "zzz: unknown; expected one of integer, real, flag"),
    ],
)
def test_refuses(values, expected):
    (error,) = errors(**values)
    assert error.startswith(expected)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("part", {"_target_": "os.system", "command": "ls"}, "expected Part or null"),
        ("part", node("make_anything"), "expected Part or null"),
        ("parts", [{"_target_": "os.system"}], "expected Part"),
        ("free", {"_target_": "os.system"}, "expected Any"),
        ("free", {"deep": [{"_target_": "os.system"}]}, "expected Any"),
        ("call", {"_target_": "os.system"}, "expected "),
        ("table", {"a": {"_target_": "os.system"}}, "expected float"),
        ("inner", {"_target_": "os.system"}, "expected Inner"),
        ("part", {"_target_": "builtins.eval"}, "expected Part or null"),
        ("part", {"_target_": 3}, "cannot be imported"),
        ("part", {"_target_": f"{HERE}.Nope"}, "cannot be imported"),
        ("part", {"_target_": "no_such_package.Part"}, "cannot be imported (no module named 'no_such_package')"),
        ("part", node("Part", _args_=[1]), "part._args_: unknown"),
        ("part", node("Part", _partial_=True), "part._partial_ = true: expected false"),
        ("later", node("Part"), "later._partial_ = false: expected true"),
    ],
)
def test_a_config_from_elsewhere_cannot_call_what_it_likes(key, value, expected):
    (error,) = errors(**{key: value})
    assert error.startswith(key)
    assert expected in error


def test_every_error_of_a_training_config_at_once(train):
    config = train(
        *("model=ddpm", "seed=abc", "scheduler.steps=true", "optimizer.lr=fast", "budget.images=0", "training.clip=x"),
        *("backbone.channels=[32,x]", "logger.mode=sometimes", "trainer.precision=12", "+model.widht=3", "+extra=1"),
        "data._target_=os.system",
    )
    with pytest.raises(ConfigError) as refused:
        validate_config(config)
    first, *lines = str(refused.value).splitlines()
    assert first == "11 config values do not fit:"
    assert [line.strip().split(" ")[0].rstrip(":") for line in lines] == [
        *(
            "seed",
            "training.clip",
            "data._target_",
            "backbone.channels.1",
            "scheduler.steps",
            "optimizer.lr",
            "budget.images",
        ),
        *("trainer.precision", "logger.mode", "model.widht", "extra"),
    ]
    assert "  budget.images = 0: expected greater than or equal to 1" in lines
    assert "  logger.mode = \"sometimes\": expected 'offline' or 'online'" in lines


def test_one_error_is_one_line(train):
    with pytest.raises(ConfigError) as refused:
        validate_config(train("budget.batch_size=many"))
    assert str(refused.value) == 'budget.batch_size = "many": expected an integer'


def test_an_error_that_interpolation_copies_is_told_once(train):
    with pytest.raises(ConfigError) as refused:
        validate_config(train("model=ddpm", "sampler.steps=x"))
    assert str(refused.value) == 'sampler.steps = "x": expected an integer'


def test_a_missing_section_is_told(train):
    config = train()
    del config["budget"], config["data"]
    with pytest.raises(ConfigError) as refused:
        validate_config(config)
    assert [line.strip() for line in str(refused.value).splitlines()[1:]] == [
        "data: missing; expected ImageDataset",
        "budget: missing; expected Budget",
    ]


@pytest.mark.parametrize(
    ("command", "overrides", "wrong"),
    [
        ("sample", ["run=x", "sampler=ddim", "labels=[1,2]"], "n=-1"),
        ("evaluate", ["samples=x.npz", "data=digits"], "batch_size=all"),
        ("benchmark", ["benchmark.seeds=[1,2]"], "out=3"),
        ("report", ["runs=[a,b]"], "out=3"),
        ("features_fit", ["data=digits", "epochs=5"], "seed=-1"),
    ],
)
def test_other_commands(command, overrides, wrong):
    config = OmegaConf.to_container(compose(command, overrides), resolve=True)
    before = copy.deepcopy(config)
    validate_config(config, command)
    assert config == before
    config = OmegaConf.to_container(compose(command, [*overrides, wrong]), resolve=True)
    with pytest.raises(ConfigError, match=f"^{wrong.partition('=')[0]} = "):
        validate_config(config, command)


def test_every_command_has_a_schema():
    from genbench.app.schema import SCHEMAS

    assert set(SCHEMAS) == set(cli.COMMANDS)


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["model=vae", "model.channels=[8,0]"], "model.channels.1 = 0: expected greater than or equal to 1"),
        (["model=vae", "model.latent=-8"], "model.latent = -8: expected greater than or equal to 1"),
        (["model=ddpm", "model.label_dropout=1.5"], "model.label_dropout = 1.5: expected less than or equal to 1"),
        (["model=ddpm", "model.label_dropout=-0.5"], "model.label_dropout = -0.5: expected greater than or equal to 0"),
        (["model=pixel_gpt", "model.dropout=nan"], "model.dropout = NaN: expected less than or equal to 1"),
        (["model=ddpm", "backbone.dropout=1.5"], "backbone.dropout = 1.5: expected less than or equal to 1"),
        (["budget=flops", "budget.flops=inf"], "budget.flops = Infinity: expected a finite number"),
        (["budget=seconds", "budget.seconds=inf"], "budget.seconds = Infinity: expected a finite number"),
        (["training.watchdog=inf"], "training.watchdog = Infinity: expected a finite number"),
        (["model=ddpm", "sampler.steps=0"], "sampler.steps = 0: expected greater than or equal to 1"),
        (["model=ddpm", "backbone.embedding=0"], "embedding = 0: expected greater than or equal to 1"),
        (
            ["model=text_to_image", "data=shapes", "backbone.context=0"],
            "context = 0: expected greater than or equal to 1",
        ),
        (
            ["model=text_to_image", "data=shapes", "text_encoder=learned", "text_encoder.layers=0"],
            "layers = 0: expected",
        ),
    ],
)
def test_numbers_out_of_their_range_are_told_by_their_path(overrides, told):
    with pytest.raises(ConfigError) as error:
        validate_config(resolve(compose("train", overrides)))
    assert told in str(error.value)
    assert "\n" not in str(error.value)
