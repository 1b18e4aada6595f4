"""The captions that a run is asked to draw."""

from __future__ import annotations

from pathlib import Path

from genbench.core import ConfigError, DataError, GenerativeModel
from genbench.data.lines import utf8_lines


def asked(model: GenerativeModel, prompt: str | None, prompts: str | None) -> list[str] | None:
    """The captions that a model is asked for, an empty one for an image of any kind; None for a model that reads none.

    Raises:
        ConfigError: both or neither, or any for a model that reads no captions.
        DataError: a file that is not UTF-8.
    """
    given = [f"{key}={value}" for key, value in (("prompt", prompt), ("prompts", prompts)) if value is not None]
    if not model.reads_captions:
        if given:
            raise ConfigError(f"{given[0]}: this run reads no captions: leave it out, or give one of text_to_image")
        return None
    if len(given) != 1:
        both = " and not both" if given else ": this run draws what captions say"
        raise ConfigError(f"give prompt='a small red circle' or prompts=FILE with one a line{both}")
    return read_prompts(Path(prompts)) if prompts is not None else [str(prompt)]


def read_prompts(path: Path) -> list[str]:
    """The lines of a file in UTF-8.

    Raises:
        DataError: no such file, none in it, or a line that is not UTF-8.
    """
    found = utf8_lines(path)
    if not found:
        raise DataError(f"{path} is empty: write one prompt a line")
    return found
