"""Errors a user can mend: each says what was wrong, what was expected and what to type instead."""


class GenbenchError(Exception):
    """Any error whose message alone is enough; the command line prints it without a traceback."""


class ConfigError(GenbenchError):
    """A config value, or a combination of choices, that cannot run."""


class DataError(GenbenchError):
    """Images, labels or captions that cannot be read or do not fit what the config says of them."""


class RunError(GenbenchError):
    """A run folder that is missing pieces, holds another config, or cannot be written."""


class TrainingError(GenbenchError):
    """Training that cannot go on, such as a loss that is no longer finite."""


def first_line(error: BaseException) -> str:
    """What an error says, as far as its first line; its type's name if it says nothing."""
    said = str(error).strip()
    return said.splitlines()[0] if said else type(error).__name__
