"""Text files as people write them."""

from pathlib import Path

from genbench.core import DataError


def utf8_lines(path: Path) -> list[str]:
    """The lines of a file in UTF-8, a byte order mark left out; only a line feed ends one.

    Raises:
        DataError: a file that cannot be read, or a line that is not UTF-8; it gives the line.
    """
    try:
        content = path.expanduser().read_bytes().removeprefix(b"\xef\xbb\xbf")
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}): give a text file in UTF-8") from error
    found = []
    for number, line in enumerate(content.removesuffix(b"\n").split(b"\n") if content else [], start=1):
        try:
            found.append(line.removesuffix(b"\r").decode())
        except UnicodeDecodeError as error:
            raise DataError(f"{path}, line {number}: not UTF-8 ({error.reason}): save the file as UTF-8") from error
    return found
