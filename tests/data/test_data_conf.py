from inspect import Parameter, signature
from pathlib import Path

import pytest
from hydra.utils import get_class, instantiate
from omegaconf import OmegaConf

from genbench.core import ImageSpec
from genbench.data.dataset import ImageDataset
from genbench.data.digits import Digits

CONF = Path(__file__).parents[2] / "conf" / "data"
FILES = sorted(CONF.glob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_choice_describes_itself_and_names_a_dataset(path) -> None:
    description = path.read_text().splitlines()[0]
    assert description.startswith("# ")
    assert len(description) <= 120
    assert issubclass(get_class(OmegaConf.load(path)["_target_"]), ImageDataset)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_argument_can_be_set_and_defaults_are_the_signatures(path) -> None:
    config = OmegaConf.to_container(OmegaConf.load(path))
    defaults = {p.name: p.default for p in signature(get_class(config.pop("_target_"))).parameters.values()}
    assert list(defaults) == list(config)
    differing = {
        key for key, value in config.items() if value != defaults[key] and defaults[key] is not Parameter.empty
    }
    assert differing - {"spec"} == ({"flip"} if path.stem == "cifar10" else set())


@pytest.mark.parametrize("name", ["digits", "mnist", "fashion_mnist", "cifar10"])
def test_a_stated_spec_is_the_datasets(name) -> None:
    config = OmegaConf.load(CONF / f"{name}.yaml")
    dataset = instantiate(config)  # refuses a spec that the data do not have
    assert dataset.name == name
    assert dataset.spec == instantiate(config.spec)


@pytest.mark.parametrize(("name", "key"), [("image_folder", "root"), ("npz", "train"), ("huggingface", "path")])
def test_your_own_data_must_be_named(name, key) -> None:
    config = OmegaConf.load(CONF / f"{name}.yaml")
    assert OmegaConf.missing_keys(config) == {key}
    assert config.spec is None


def test_an_omitted_spec_is_found() -> None:
    assert Digits().spec == ImageSpec(1, 8, 8, num_classes=10, levels=17)
