"""Networks in the Hugging Face layout: found on disk, checked, and loaded without running code or pickles."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn

from genbench.core import ConfigError
from genbench.features.files import verify

CONFIG, WEIGHTS = "config.json", "model.safetensors"


@dataclass(frozen=True)
class Owner:
    """Whose network it is: `name` is what errors call it, `key` the config's node of weights, sha256 and download."""

    name: str
    key: str = "features"


def transformers(owner: Owner) -> Any:
    """The library, imported only now because few need it.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import transformers as library
    except ImportError as error:
        raise ConfigError(f"{owner.name} needs transformers: pip install 'genbench[vision]'") from error
    return library


def find(owner: Owner, weights: Path | str, download: bool, more: Sequence[str] = ()) -> Path:
    """The folder of a path, or of a repository's name in Hugging Face's cache, which `download` fills.

    `more` are patterns of files beside config and weights that a download brings too.

    Raises:
        ConfigError: it is not there, lacks a file, and may not or cannot be downloaded.
    """
    folder = Path(weights).expanduser()
    if not folder.is_dir():
        folder = _cached(owner, str(weights), download, more)
    missing = [name for name in (CONFIG, WEIGHTS) if not (folder / name).is_file()]
    if missing:
        raise ConfigError(
            f"{owner.name}: {folder} holds no {' and no '.join(missing)}: give {owner.key}.weights a folder in "
            f"Hugging Face's layout with {CONFIG} and {WEIGHTS} (pickled .bin files are never read)"
        )
    return folder


def _cached(owner: Owner, name: str, download: bool, more: Sequence[str]) -> Path:
    from huggingface_hub import hf_hub_download, snapshot_download

    fix = f"set {owner.key}.weights to a folder with {CONFIG} and {WEIGHTS}"
    try:
        weights = hf_hub_download(name, WEIGHTS, local_files_only=not download)
        hf_hub_download(name, CONFIG, local_files_only=not download)
        if download and more:
            snapshot_download(name, allow_patterns=list(more))
        return Path(weights).parent
    except (OSError, ValueError) as error:  # its own errors derive from these, as do those of the network
        if download:
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            raise ConfigError(f"{owner.name}: {name} cannot be downloaded ({reason}): {fix}") from error
        raise ConfigError(
            f"{owner.name}: the weights {name} are not here: {fix}, or set {owner.key}.download=true"
        ) from error


def read(owner: Owner, folder: Path, sha256: str | None) -> tuple[dict[str, Any], dict[str, Tensor], str]:
    """Config, tensors and the sha256 of the weights, which is compared with `sha256` (8 digits or more) first.

    Raises:
        ConfigError: another sum, or files that cannot be read.
    """
    path = folder / WEIGHTS
    try:
        config: dict[str, Any] = json.loads((folder / CONFIG).read_text())
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        raise ConfigError(f"{folder} cannot be read ({error}): give {owner.key}.weights an intact folder") from error
    found = hashlib.sha256(content).hexdigest()
    if sha256 is not None:
        verify(path, found, sha256, f"{owner.key}.sha256")
    try:
        return config, load(content), found
    except SafetensorError as error:
        raise ConfigError(f"{path} is not a whole safetensors file ({error}): fetch it again") from error


def require_type(owner: Owner, config: dict[str, Any], known: Sequence[str]) -> None:
    """Refuses the config of another network.

    Raises:
        ConfigError: naming both.
    """
    if config.get("model_type") not in known:
        raise ConfigError(
            f"{owner.name}: {CONFIG} describes a {config.get('model_type')}, expected {' or '.join(known)}: "
            f"give {owner.key}.weights the folder of such a network"
        )


def build(owner: Owner, model: Any, config: Any, state: dict[str, Tensor]) -> nn.Module:
    """A network of a transformers class, every one of its weights taken from `state`.

    Raises:
        ConfigError: weights that are missing or of another shape.
    """
    logging = transformers(owner).logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        # with config and tensors given it reads no file and asks no network
        network, report = model.from_pretrained(None, config=config, state_dict=state, output_loading_info=True)
        wrong = sorted(map(str, report["missing_keys"]))
    except (RuntimeError, ValueError, KeyError) as error:
        network, wrong = None, [str(error).splitlines()[0]]
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
    if network is None or wrong:
        raise ConfigError(
            f"{owner.name}: {WEIGHTS} does not fill the network of {CONFIG} ({wrong[0]}): give both files of one "
            f"{model.__name__}"
        )
    built: nn.Module = network.float()
    return built
