"""Vision networks in the Hugging Face layout: found on disk, checked, and loaded without running code or pickles."""

import hashlib
import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn

from genbench.core import ConfigError
from genbench.features.files import verify

CONFIG, WEIGHTS = "config.json", "model.safetensors"


def transformers(what: str) -> Any:
    """The library, imported only now because few need it.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import transformers as library
    except ImportError as error:
        raise ConfigError(f"features={what} needs transformers: pip install 'genbench[vision]'") from error
    return library


def find(what: str, weights: Path | str, download: bool) -> Path:
    """The folder of a path, or of a repository's name in Hugging Face's cache, which `download` fills.

    Raises:
        ConfigError: it is not there, lacks a file, and may not or cannot be downloaded.
    """
    folder = Path(weights).expanduser()
    if not folder.is_dir():
        folder = _cached(what, str(weights), download)
    missing = [name for name in (CONFIG, WEIGHTS) if not (folder / name).is_file()]
    if missing:
        raise ConfigError(
            f"features={what}: {folder} holds no {' and no '.join(missing)}: give features.weights a folder in Hugging "
            f"Face's layout with {CONFIG} and {WEIGHTS} (pickled .bin files are never read)"
        )
    return folder


def _cached(what: str, name: str, download: bool) -> Path:
    from huggingface_hub import hf_hub_download

    fix = f"set features.weights to a folder with {CONFIG} and {WEIGHTS}"
    try:
        weights = hf_hub_download(name, WEIGHTS, local_files_only=not download)
        hf_hub_download(name, CONFIG, local_files_only=not download)
        return Path(weights).parent
    except (OSError, ValueError) as error:  # its own errors derive from these, as do those of the network
        if download:
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            raise ConfigError(f"features={what}: {name} cannot be downloaded ({reason}): {fix}") from error
        raise ConfigError(
            f"features={what}: the weights {name} are not here: {fix}, or set features.download=true"
        ) from error


def read(folder: Path, sha256: str | None) -> tuple[dict[str, Any], dict[str, Tensor], str]:
    """Config, tensors and the sha256 of the weights, which is compared with `sha256` (8 digits or more) first.

    Raises:
        ConfigError: another sum, or files that cannot be read.
    """
    path = folder / WEIGHTS
    try:
        config: dict[str, Any] = json.loads((folder / CONFIG).read_text())
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        raise ConfigError(f"{folder} cannot be read ({error}): give features.weights an intact folder") from error
    found = hashlib.sha256(content).hexdigest()
    if sha256 is not None:
        verify(path, found, sha256, "features.sha256")
    try:
        return config, load(content), found
    except SafetensorError as error:
        raise ConfigError(f"{path} is not a whole safetensors file ({error}): fetch it again") from error


def build(what: str, model: Any, config: Any, state: dict[str, Tensor]) -> nn.Module:
    """A network of a transformers class, every one of its weights taken from `state`.

    Raises:
        ConfigError: weights that are missing or of another shape.
    """
    logging = transformers(what).logging
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
            f"features={what}: {WEIGHTS} does not fill the network of {CONFIG} ({wrong[0]}): give both files of one "
            f"{model.__name__}"
        )
    built: nn.Module = network.float()
    return built
