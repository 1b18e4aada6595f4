"""The run folder, where training and evaluation meet.

config.yaml          the resolved config: it alone rebuilds the model
manifest.json        versions, git state, fingerprints of images, seed, machine, operations of an image
log.jsonl            the append-only training record
hang-rankN.txt       where process N was whenever training hung
checkpoint.ckpt      what resuming needs; removed when training is finished
previous.ckpt        the one before, for when that one is damaged; removed when training is finished
checkpoints/         with training.keep_every, those at multiples of it, kept for good
best.safetensors     with training.select, the best averaged weights so far; removed when training is finished
weights.safetensors  averaged weights, as judged: the last, or the selected
raw.safetensors      the last weights without averaging, where they differ
ema/                 with training.ema_snapshot_every, averages to put others together from, and those put together
training.json        images, seconds, parameters, selection: written last, so its presence means "finished"
samples/             sheets drawn while training, and what `sample` writes
results/HASH.json    judgements, one file per protocol; HASH.NAME.json of samples drawn in a benchmark's other way NAME;
                     beside them the samples (samples-*.npz, .png) and real images (real-*.npz) that reports show
"""

from __future__ import annotations

import errno
import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from genbench.core import RunError
from genbench.core.differences import differences
from genbench.core.files import write_atomically, write_json
from genbench.identity import identity

TRAIN, TEST = "train_sha256", "test_sha256"
"""The fingerprints of images in a manifest: test images' only where they decide which weights are kept."""

Weights = Literal["ema", "raw"] | float
"""Which weights of a run: the averaged (or selected) ones, those of the last step, or an average put together
afterwards of this relative length."""


class Run:
    """A run folder that exists."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoint = path / "checkpoint.ckpt"
        self.previous = path / "previous.ckpt"
        self.weights = path / "weights.safetensors"
        self.raw = path / "raw.safetensors"
        self.best = path / "best.safetensors"
        self.averages = path / "ema"
        self.log = path / "log.jsonl"
        self.samples = path / "samples"
        self.results = path / "results"

    def hang(self, rank: int) -> Path:
        """Where one of a training's processes tells that it hangs."""
        return self.path / f"hang-rank{rank}.txt"

    @classmethod
    def create(cls, path: Path, config: Mapping[str, Any], manifest: Mapping[str, Any]) -> Run:
        """Makes the folder with its config and manifest, all at once; an existing run of the same experiment is kept.

        Raises:
            RunError: the folder holds another experiment or something else, cannot be written, or is just being made.
        """
        if path.is_file():
            raise RunError(f"{path} is a file: choose another run_dir")
        if path.exists() and any(path.iterdir()):
            run = cls.open(path)
            run.require_same(config)
            run.require_same_images(fingerprints(manifest))
            return run
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        except OSError as error:
            raise RunError(f"cannot create the run folder {path}: {error.strerror or error}") from error
        try:
            write_atomically(partial / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(dict(config))).encode())
            write_json(partial / "manifest.json", dict(manifest))
            partial.chmod(0o755)
            partial.replace(path)
        except BaseException as error:
            shutil.rmtree(partial, ignore_errors=True)
            if not (isinstance(error, OSError) and error.errno in (errno.EEXIST, errno.ENOTEMPTY)):
                raise
            run = cls.open(path)
            if OmegaConf.to_container(run.config) != dict(config):
                # what it measured, such as the images of a budget in seconds, is not what was measured here
                raise RunError(f"another process trains in {path}: wait for it, or choose another run_dir") from error
            return run
        return cls(path)

    @classmethod
    def open(cls, path: str | Path) -> Run:
        """An existing run folder.

        Raises:
            RunError: there is none, or its config is missing or unreadable.
        """
        path = Path(path)
        if not path.is_dir():
            raise RunError(f"no run folder at {path}: train one with `genbench train run_dir={path}`")
        if not (path / "config.yaml").is_file():
            raise RunError(f"{path} is not a run folder: it has no config.yaml; choose another run_dir")
        return cls(path)

    @property
    def config(self) -> DictConfig:
        """The resolved config of the run."""
        try:
            config = OmegaConf.load(self.path / "config.yaml")
        except Exception as error:  # yaml's errors have no common base with the file system's
            raise RunError(f"cannot read {self.path / 'config.yaml'}: {error}") from error
        if not isinstance(config, DictConfig) or "model" not in config:
            raise RunError(f"{self.path / 'config.yaml'} is no training config: it has no `model`")
        return config

    @property
    def finished(self) -> bool:
        """Whether training has come to its end."""
        return (self.path / "training.json").is_file()

    @property
    def summary(self) -> dict[str, Any]:
        """images, seconds, images_per_second, parameters, selection, skipped moves and the file of raw weights.

        Raises:
            RunError: training is not finished.
        """
        if not self.finished:
            raise RunError(
                f"the training in {self.path} is not finished: run its `genbench train` command again to resume it"
            )
        return self._json("training.json")

    @property
    def manifest(self) -> dict[str, Any]:
        return self._json("manifest.json")

    def note(self, **facts: Any) -> None:
        """Adds to the manifest what a training finds out about itself."""
        write_json(self.path / "manifest.json", {**self.manifest, **facts})

    def _json(self, name: str) -> dict[str, Any]:
        try:
            value: dict[str, Any] = json.loads((self.path / name).read_text())
        except (OSError, json.JSONDecodeError) as error:
            raise RunError(f"cannot read {self.path / name}: {error}") from error
        return value

    @property
    def identity(self) -> dict[str, Any]:
        """What of its config decides the weights."""
        config = OmegaConf.to_container(self.config, resolve=True)
        assert isinstance(config, dict)
        return identity({str(key): value for key, value in config.items()})

    def require_same(self, config: Mapping[str, Any]) -> None:
        """Checks that the folder holds this very experiment.

        Raises:
            RunError: naming the keys that differ.
        """
        differing = list(differences(self.identity, identity(config)))
        if differing:
            raise RunError(
                f"{self.path} holds another experiment; it differs in {'; '.join(differing[:5])}"
                f"{' and more' if len(differing) > 5 else ''}: choose another run_dir"
            )

    @property
    def images(self) -> dict[str, str]:
        """The fingerprints of the images that decide the weights, by name; none where the run says nothing of them."""
        return fingerprints(self.manifest)

    def require_same_images(self, images: Mapping[str, str]) -> None:
        """Checks that images have the fingerprints of those the run was made of, wherever they lie now.

        Raises:
            RunError: some have changed since.
        """
        there = self.images
        for name in sorted(there.keys() & images.keys()):
            if there[name] != images[name]:
                what = "training" if name == TRAIN else "test"
                raise RunError(
                    f"the {what} images have changed since {self.path} was made (sha256 {there[name]} there, "
                    f"{images[name]} here): restore them, or choose another run_dir"
                )

    def weights_of(self, kind: Weights) -> Path:
        """The file of a finished run's weights; an average of another length has to be put together first.

        Raises:
            RunError: training is not finished, or raw weights of a run that kept none.
        """
        if not isinstance(kind, str):
            return self.averages / f"length-{kind:g}.safetensors"
        file = self.summary.get("raw") if kind == "raw" else self.weights.name
        if file is None:
            raise RunError(
                f"{self.path} was trained before raw weights were kept: judge it with protocol.weights=ema, or train "
                "it again in another run_dir"
            )
        return self.path / str(file)

    def finish(self, weights: Mapping[str, Tensor], raw: Mapping[str, Tensor], summary: Mapping[str, Any]) -> None:
        """Writes the judged weights, the raw ones where they differ, and last the summary that says "finished".

        What an earlier training in this folder was judged by goes: new weights never stand beside old numbers.
        """
        from safetensors.torch import save

        shutil.rmtree(self.results, ignore_errors=True)
        write_atomically(self.weights, save({name: value.contiguous() for name, value in weights.items()}))
        equal = all(torch.equal(value, raw[name]) for name, value in weights.items())
        if equal:
            self.raw.unlink(missing_ok=True)
        else:
            write_atomically(self.raw, save({name: value.contiguous() for name, value in raw.items()}))
        file = self.weights if equal else self.raw
        write_json(self.path / "training.json", {**summary, "raw": file.name})
        self.tidy()

    def tidy(self) -> None:
        """Removes what only an unfinished training needs, and halves of its files that killed attempts left.

        Halves of what an evaluation writes, or `sample`, are theirs, who may be at work.
        """
        patterns = ("*.partial", "ema/.images-*.partial", "samples/.[0-9]*.png.*.partial")
        halves = [half for pattern in patterns for half in self.path.glob(pattern)]
        for needless in (self.checkpoint, self.previous, self.best, *halves):
            needless.unlink(missing_ok=True)

    def result_path(self, protocol: str, variation: str | None = None) -> Path:
        """Where a judgement is kept: by its protocol's hash, and how the samples were drawn if not as usual."""
        return self.results / f"{protocol}{suffix(variation)}.json"


def fingerprints(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Those of images in a manifest, by name."""
    data = manifest.get("data") or {}
    return {name: data[name] for name in (TRAIN, TEST) if name in data}


def suffix(variation: str | None) -> str:
    """What tells the files of another way to draw from those of the run's own."""
    return "" if variation is None else f".{variation}"
