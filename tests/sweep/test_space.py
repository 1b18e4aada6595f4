"""Hydra's sweep syntax as what is searched, and as Optuna's distributions: closed form."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from genbench.core import ConfigError
from genbench.sweep.space import Choice, Interval, Steps, read, written
from genbench.sweep.suggesting import distribution


def parsed(*arguments: str):
    return read(OverridesParser.create().parse_overrides(list(arguments)))


@pytest.mark.parametrize(
    ("text", "parameter", "expected"),
    [
        ("interval(1e-5,1e-2)", Interval(1e-5, 1e-2), FloatDistribution(1e-5, 1e-2)),
        ("tag(log,interval(1e-5,1e-2))", Interval(1e-5, 1e-2, log=True), FloatDistribution(1e-5, 1e-2, log=True)),
        ("interval(1,5)", Interval(1.0, 5.0), FloatDistribution(1, 5)),
        ("int(interval(1,5))", Interval(1, 5, whole=True), IntDistribution(1, 5)),
        ("tag(log,int(interval(1,64)))", Interval(1, 64, whole=True, log=True), IntDistribution(1, 64, log=True)),
        ("range(1,4)", Steps((1, 2, 3), 1), IntDistribution(1, 3)),
        ("range(8,65,8)", Steps(tuple(range(8, 65, 8)), 8), IntDistribution(8, 64, step=8)),
        ("range(5,1,-2)", Steps((3, 5), 2), IntDistribution(3, 5, step=2)),
        ("range(0.5,2,0.5)", Steps((0.5, 1.0, 1.5), 0.5), FloatDistribution(0.5, 1.5, step=0.5)),
        ("range(0.3,1.0,0.3)", Steps((0.3, 0.6, 0.9), 0.3), FloatDistribution(0.3, 0.9, step=0.3)),
        ("range(0,1,0.5)", Steps((0.0, 0.5), 0.5), FloatDistribution(0.0, 0.5, step=0.5)),
        ("choice(32,64)", Choice((32, 64)), CategoricalDistribution((32, 64))),
        ("vae,ddpm,vae", Choice(("vae", "ddpm")), CategoricalDistribution(("vae", "ddpm"))),
        ("choice(true,1.5)", Choice((True, 1.5)), CategoricalDistribution((True, 1.5))),
        ("choice([8,16],{a:1})", Choice(("[8,16]", "{a:1}")), CategoricalDistribution(("[8,16]", "{a:1}"))),
    ],
)
def test_what_is_typed_is_what_is_searched(text: str, parameter: object, expected: object) -> None:
    fixed, space = parsed("model=vae", "~tags", f"x.y={text}")
    assert fixed == ["model=vae", "~tags"]
    assert space == {"x.y": parameter}
    found = distribution(space["x.y"])
    assert found == expected
    assert type(getattr(found, "low", None)) is type(getattr(expected, "low", None))


def test_of_one_key_the_last_counts() -> None:
    assert parsed("a=1,2", "b=1,2", "a=3") == (["a=3"], {"b": Choice((1, 2))})


@pytest.mark.parametrize("value", [True, False, 3, 0.1, 1e-05, 1e30, "[8,16]", "vae"])
def test_a_value_is_read_back_as_it_was(value: object) -> None:
    (override,) = OverridesParser.create().parse_overrides([f"x={written(value)}"])
    read_back = override.get_value_element_as_str() if isinstance(value, str) else override.value()
    assert read_back == value
    assert type(read_back) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("interval(2,1)", "x: interval(2.0,1.0) is empty: give the lower end first"),
        ("tag(log,interval(0,1))", "x: a logarithmic scale begins above 0"),
        ("tag(log,choice(1,2))", "x: only an interval has a logarithmic scale"),
        ("tag(ln,interval(1,2))", "x: tag(ln, ...) means nothing here"),
        ("range(1,1)", "x: the range holds no number"),
        ("shuffle(1,2)", "x: a study chooses for itself what comes next: leave shuffle(...) out"),
        ("shuffle(range(1,5))", "x: a study chooses for itself what comes next: leave shuffle(...) out"),
        ("range(0,1,0)", "x: a range goes from one number to another in steps: range(1,9,2)"),
        ("range(0,1e400)", "x: a range goes from one number to another in steps: range(1,9,2)"),
        ("glob(*)", "x: glob(...) is no list of values: name them, x=choice(a,b)"),
        ("3", "nothing is searched: give values to choose from"),
    ],
)
def test_what_has_no_meaning_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        parsed(f"x={text}")
    assert message in str(error.value)
