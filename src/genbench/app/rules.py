"""Choices that cannot go together, each refused in one line that names the fix.

The rules follow from the constructors' signatures: a model takes a noise schedule exactly when one of its
parameters is annotated with one. What a constructor checks itself (sizes, guidance, labels) is not repeated.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf

from genbench.app import launch
from genbench.app.listing import groups
from genbench.app.paths import conf_dirs
from genbench.app.signatures import alternatives, is_object, locate, type_hints
from genbench.conditioning.text.base import TextEncoder
from genbench.core import ConfigError, FirstStage, ImageSpec
from genbench.diffusion.couplings import Coupling
from genbench.diffusion.likelihoods import DiffusionLikelihood
from genbench.diffusion.objectives import Objective
from genbench.diffusion.samplers import DiffusionSampler
from genbench.diffusion.schedules import NoiseSchedule
from genbench.diffusion.times import TimeDensity
from genbench.diffusion.weightings import Weighting
from genbench.families.autoregressive import TokenSampler
from genbench.features import DomainClassifier
from genbench.metrics import Metric
from genbench.networks.backbone import Backbone

PARTS: dict[str, tuple[str, tuple[type, ...]]] = {
    "backbone": ("backbone", (Backbone,)),
    "first_stage": ("first stage", (FirstStage,)),
    "text_encoder": ("text encoder", (TextEncoder,)),
    "scheduler": ("noise schedule", (NoiseSchedule,)),
    "objective": ("diffusion objective", (Objective,)),
    "weighting": ("loss weighting", (Weighting,)),
    "times": ("density of training times", (TimeDensity,)),
    "coupling": ("coupling of noise and images", (Coupling,)),
    "sampler": ("sampler", (DiffusionSampler, TokenSampler)),
    "likelihood": ("likelihood", (DiffusionLikelihood,)),
}
"""The groups a model may be composed of: what each is called, and the classes its choices build."""


class Slot(NamedTuple):
    """A constructor's parameter that takes a group's choice."""

    classes: tuple[type, ...]
    required: bool


def check_rules(config: Mapping[str, Any]) -> None:
    """Refuses a resolved training config whose choices cannot go together; unknown facts are let pass.

    Raises:
        ConfigError: the first rule that is broken.
    """
    model = built_by(config.get("model"))
    if model is not None:
        _check_parts(config, model)
    _check_features(config)
    _check_captions(config)
    _check_devices(config)
    _check_trainer(config)
    _check_sharding(config)
    _check_selection(config)


def _check_parts(config: Mapping[str, Any], model: type) -> None:
    taken, chosen = slots(model), {group: built_by(config.get(group)) for group in PARTS}
    name = f"model={choice('model', config['model'], config.get('name'))}"
    unused = [group for group, part in chosen.items() if part is not None and group not in taken]
    if unused:
        extra = ", ".join(f"{group}={choice(group, config[group])}" for group in unused)
        users = [n for n, other in built_choices("model").items() if _takes(other, {g: chosen[g] for g in unused})]
        instead = f", or use {_either('model', users)}" if users else ""
        raise ConfigError(f"{name} has no use for {extra}: drop {'it' if len(unused) == 1 else 'them'}{instead}")
    for group, slot in taken.items():
        part, noun = chosen[group], PARTS[group][0]
        fitting = _either(group, [n for n, other in built_choices(group).items() if issubclass(other, slot.classes)])
        if part is None and config.get(group) is None and slot.required:
            raise ConfigError(f"{name} needs a {noun}: choose {fitting}")
        if part is not None and not issubclass(part, slot.classes):
            raise ConfigError(f"{name} cannot use {group}={choice(group, config[group])}: choose {fitting}")


def _check_features(config: Mapping[str, Any]) -> None:
    judged = "training" not in config or config["training"].get("preview_every") is not None or config.get("judge")
    if judged and (unfit := unfit_features(config)):
        raise unfit


def unfit_features(config: Mapping[str, Any]) -> ConfigError | None:
    """Why features cannot judge the data, as far as it is known before they are built: a classifier has one dataset."""
    features, spec = config.get("features"), (config.get("data") or {}).get("spec")
    if features and spec and built_by(features) is DomainClassifier:
        facts = {key: value for key, value in spec.items() if key != "_target_"}
        try:
            DomainClassifier(features.get("name", "digits"), features.get("weights")).check(ImageSpec(**facts))
        except ConfigError as error:
            return error
    return None


def _check_captions(config: Mapping[str, Any]) -> None:
    """A metric of captions on data without them would be found out only after the training."""
    spec, metrics = (config.get("data") or {}).get("spec"), config.get("metric") or {}
    readers = [n for n, node in metrics.items() if (b := built_by(node)) and issubclass(b, Metric) and b.needs_captions]
    if readers and spec and not spec.get("captions", False):
        raise ConfigError(
            f"metric {', '.join(readers)} judges by captions, and the data have none: choose data that have them, such "
            "as data=shapes, or other metrics, such as metric=[fd]"
        )


def _check_devices(config: Mapping[str, Any]) -> None:
    """Several devices share every batch equally."""
    trainer, budget = config.get("trainer") or {}, config.get("budget") or {}
    nodes, asked = trainer.get("num_nodes", 1), trainer.get("devices", 1)
    if not isinstance(nodes, int) or nodes < 1:
        raise ConfigError(f"trainer.num_nodes={nodes}: give a number of machines, 1 or more")
    if not _names_devices(asked):
        raise ConfigError(f"trainer.devices={asked}: give how many, 1 or more, a list of their numbers, or -1 for all")
    several = asked != 1 and not (isinstance(asked, list) and len(asked) == 1)
    if not several and nodes == 1:
        return
    from genbench.training.replicas import Replicas  # here because Lightning takes seconds
    from genbench.training.sharded import Sharded

    if built_by(trainer.get("strategy")) not in (Replicas, Sharded):
        raise ConfigError(f"{launch.asked(trainer)}: several devices need trainer=ddp, fsdp or ddp_cpu")
    count = len(asked) if isinstance(asked, list) else asked
    count = count * nodes if isinstance(count, int) and count > 0 else None
    if count is not None:
        for key in ("batch_size", "images"):
            if (value := budget.get(key)) and value % count:
                raise ConfigError(
                    f"budget.{key}={value} cannot be shared equally by {count} devices: use "
                    f"budget.{key}={-(-value // count) * count}"
                )


def _names_devices(asked: Any) -> bool:
    if isinstance(asked, list):
        return bool(asked) and all(type(n) is int and n >= 0 for n in asked) and len(set(asked)) == len(asked)
    return asked in ("auto", -1) or (type(asked) is int and asked >= 1)


def _check_trainer(config: Mapping[str, Any]) -> None:
    """The budget alone says how long a training is; its numbers are 32 bits, or mixed with 16."""
    trainer = config.get("trainer") or {}
    for key in ("max_epochs", "max_steps", "max_time", "limit_train_batches", "overfit_batches", "fast_dev_run"):
        if trainer.get(key):
            raise ConfigError(f"trainer.{key}={trainer[key]} would end a training early: set budget.images instead")
    precision = trainer.get("precision", "32-true")
    if precision not in ("32-true", "bf16-mixed", "16-mixed"):
        raise ConfigError(f"trainer.precision={precision}: choose 32-true, bf16-mixed or 16-mixed")
    if precision == "16-mixed" and (config.get("optimizer") or {}).get("fused"):
        raise ConfigError(
            "optimizer.fused=true divides the scale of 16-mixed's losses out after gradients are clipped: use "
            "optimizer.fused=false, or trainer.precision=bf16-mixed"
        )
    strategy = trainer.get("strategy", "auto")
    if isinstance(strategy, str) and strategy != "auto":
        raise ConfigError(
            f"trainer.strategy={strategy}: several devices train by trainer=ddp, a copy of the model on each, or by "
            "trainer=fsdp, a part of it on each"
        )


def _check_sharding(config: Mapping[str, Any]) -> None:
    """Models are sharded over GPUs of CUDA's, and what does not go with it is refused."""
    trainer, training = config.get("trainer") or {}, config.get("training") or {}
    if isinstance(trainer.get("strategy", "auto"), str):
        return
    from genbench.training.muon import Muon
    from genbench.training.sharded import Sharded

    if built_by(trainer["strategy"]) is not Sharded:
        return
    import torch

    kind = trainer.get("accelerator")
    if kind not in ("gpu", "cuda") or torch.backends.mps.is_available():
        raise ConfigError(
            f"trainer.accelerator={kind}: trainer=fsdp shards models over CUDA's GPUs alone: use "
            "trainer.accelerator=gpu where there are some, or trainer=ddp_cpu for several processes on the processor"
        )
    if trainer.get("precision") == "16-mixed":
        raise ConfigError(
            "trainer.precision=16-mixed: trainer=fsdp does not scale losses: use trainer.precision=bf16-mixed or "
            "32-true, or trainer=ddp"
        )
    if built_by(config.get("optimizer")) is Muon:
        raise ConfigError(
            "optimizer=muon takes whole matrices, of which trainer=fsdp leaves each process some rows: use "
            "optimizer=adamw or trainer=ddp"
        )
    for key in ("channels_last", "compile"):
        if training.get(key):
            raise ConfigError(
                f"training.{key}=true does not go with trainer=fsdp: use training.{key}=false or trainer=ddp"
            )


def _check_selection(config: Mapping[str, Any]) -> None:
    """Checkpoints are chosen among previews."""
    training = config.get("training") or {}
    if training.get("select") is not None and training.get("preview_every") is None:
        raise ConfigError(
            f"training.select={training['select']} chooses among previews, and there are none: set "
            "training.preview_every to a number of images, or training.select=null"
        )


def slots(model: type) -> dict[str, Slot]:
    """The groups whose choices a model's constructor takes."""
    parameters, found = inspect.signature(model).parameters, {}
    for name, annotation in type_hints(model).items():
        for group, (_, bases) in PARTS.items():
            classes = tuple(m for m in alternatives(annotation) if is_object(m) and issubclass(m, bases))
            if classes:
                found[group] = Slot(classes, parameters[name].default is inspect.Parameter.empty)
    return found


def _takes(model: type, parts: Mapping[str, type | None]) -> bool:
    taken = slots(model)
    return all(group in taken and issubclass(part, taken[group].classes) for group, part in parts.items() if part)


def built_by(node: Any) -> type | None:
    """The class that a node's target is; None where there is no node, or validation will refuse it."""
    try:
        target = locate(node["_target_"])
    except Exception:  # no target, or a module that raises anything while it is imported
        return None
    return target if isinstance(target, type) else None


def nodes(group: str) -> dict[str, Any]:
    """The node of every choice of a group, as its yaml has it."""
    return {name: _node(group, yaml) for name, yaml in groups(conf_dirs(sys.argv)).get(group, {}).items()}


@functools.cache
def _node(group: str, yaml: Path) -> Any:
    config = OmegaConf.load(yaml)
    node = OmegaConf.to_container(config)
    return node.get(group, node) if isinstance(config, DictConfig) and isinstance(node, dict) else None


def built_choices(group: str) -> dict[str, type]:
    """The class of every choice of a group that builds one."""
    classes = {name: built_by(node) for name, node in nodes(group).items()}
    return {name: built for name, built in classes.items() if built is not None}


def choice(group: str, node: Mapping[str, Any], preferred: str | None = None) -> str:
    """The choice that a node came from, found by its target; the target's own name where no choice has it."""
    names = [n for n, other in nodes(group).items() if other and other.get("_target_") == node["_target_"]]
    if preferred in names:
        return str(preferred)
    return names[0] if names else str(node["_target_"]).rsplit(".", 1)[-1]


def _either(group: str, names: list[str]) -> str:
    first = ", ".join(names[:-1])
    return f"{group}={first} or {names[-1]}" if first else f"{group}={''.join(names)}"
