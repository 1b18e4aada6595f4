"""Opening datasets with Hugging Face's `datasets` library: from its cache, from a folder, or where they lie."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from genbench.core import ConfigError
from genbench.core.errors import first_line
from genbench.data.parquet import ParquetRows


def stored(path: str, config: str | None, revision: str | None, download: bool) -> dict[str, Any]:
    """The splits, by name, of a folder that `save_to_disk` wrote or of a dataset in the library's cache.

    Raises:
        ConfigError: the library or the dataset is not here.
    """
    library, folder = _library(), Path(path).expanduser()
    try:
        if folder.is_dir():
            found = library.load_from_disk(str(folder))
        else:
            with _offline(library, not download):
                found = library.load_dataset(path, config, revision=revision)
    except (OSError, ValueError, RuntimeError) as error:  # its own errors derive from these, as the network's do
        reason = f"{type(error).__name__}: {first_line(error)}"
        if folder.is_dir():
            fix = (
                f"{folder} is no folder that save_to_disk wrote ({reason}): image files are read by data=image_folder, "
                "Parquet files with data.streaming=true"
            )
        elif download:
            fix = f"{path} cannot be downloaded ({reason}): give the name of a dataset, or a folder of save_to_disk"
        else:
            fix = (
                f"{path} is neither a folder nor in the library's cache ({reason}): name a folder that save_to_disk "
                "wrote, set data.download=true, or read it from the Hub with data.streaming=true"
            )
        raise ConfigError(f"data=huggingface: {fix}") from error
    return dict(found) if isinstance(found, dict) else {"train": found}


def streamed(path: str, config: str | None, revision: str | None) -> dict[str, Callable[..., ParquetRows]]:
    """What opens each split, by name, of the Parquet files of a folder or of a dataset on the Hub.

    Raises:
        ConfigError: the library or the dataset is not here, or its files are others.
    """
    library, folder = _library(), Path(path).expanduser()
    from datasets.packaged_modules.parquet.parquet import Parquet

    try:
        with _offline(library, folder.is_dir()):
            builder = library.load_dataset_builder(str(folder) if folder.is_dir() else path, config, revision=revision)
    except Exception as error:  # the network's are of several libraries
        raise ConfigError(
            f"data=huggingface: {path} cannot be opened ({type(error).__name__}: {first_line(error)}): give the name "
            "of a dataset on the Hub, or a folder of Parquet files"
        ) from error
    if not isinstance(builder, Parquet):
        kind = type(builder).__module__.rpartition(".")[2]
        raise ConfigError(
            f"data=huggingface: {path} is kept as {kind}, and data.streaming=true reads Parquet files: on the Hub try "
            "data.revision=refs/convert/parquet, else leave it out, or name a folder of files that to_parquet wrote"
        )
    splits = builder.config.data_files.items()
    return {
        str(split): partial(ParquetRows, list(files), files.origin_metadata, builder.info.features)
        for split, files in splits
    }


def _library() -> Any:
    try:
        import datasets
    except ImportError as error:
        raise ConfigError("data=huggingface needs datasets: pip install 'genbench[huggingface]'") from error
    return datasets


@contextmanager
def _offline(library: Any, offline: bool) -> Iterator[None]:
    """The library reads these two when it is imported, so that setting the environment would come too late."""
    from huggingface_hub import constants

    places: list[Any] = [library.config, constants]
    before = [place.HF_HUB_OFFLINE for place in places]
    for place in places:
        place.HF_HUB_OFFLINE = place.HF_HUB_OFFLINE or offline
    try:
        yield
    finally:
        for place, value in zip(places, before, strict=True):
            place.HF_HUB_OFFLINE = value
