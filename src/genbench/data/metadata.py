"""Captions of image files, as Hugging Face's imagefolder keeps them: a metadata.jsonl beside the images."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from genbench.core import DataError
from genbench.data.lines import utf8_lines

METADATA = "metadata.jsonl"


def read_captions(folder: Path, files: Sequence[str], column: str) -> list[str]:
    """The caption of each of `files`, from the lines {"file_name": "0001.png", "text": "..."} of its metadata.jsonl.

    File names are relative to the folder; `column` is the key of the captions. Other keys are not read.

    Raises:
        DataError: a line that is no such object, names no image of the folder or one named before, or an image without
            a line; it gives the line or the file.
    """
    path, known = folder / METADATA, set(files)
    found: dict[str, str] = {}
    for number, line in enumerate(utf8_lines(path), 1):
        if line.strip():
            name, caption = _row(line, f"{path}, line {number}", column)
            if name not in known:
                raise DataError(
                    f"{path}, line {number}: {name} is no image in {folder}; take out the line, or add the file"
                )
            if name in found:
                raise DataError(f"{path}, line {number}: {name} has a line already; give each image one")
            found[name] = caption
    missing = [name for name in files if name not in found]
    if missing:
        raise DataError(
            f"{path} has no line for {missing[0]}{f' and {len(missing) - 1} more' if len(missing) > 1 else ''}; add "
            f'{{"file_name": "{missing[0]}", "{column}": "..."}}, or take out the image'
        )
    return [found[name] for name in files]


def _row(line: str, place: str, column: str) -> tuple[str, str]:
    try:
        row: Any = json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(f"{place}: not JSON ({error}); write one object a line") from error
    if not isinstance(row, dict) or not isinstance(row.get("file_name"), str):
        raise DataError(f'{place}: no file_name; expected an object such as {{"file_name": "0001.png", "text": "..."}}')
    if column not in row:
        others = [key for key in row if key != "file_name"]
        raise DataError(
            f"{place}: no column {column!r}, only {', '.join(others) or 'file_name'}; name the one with the captions "
            f"with data.caption_column={others[0] if others else 'text'}"
        )
    if not isinstance(row[column], str):
        raise DataError(f"{place}: {column} is {json.dumps(row[column])[:40]}; expected text")
    return row["file_name"], row[column]
