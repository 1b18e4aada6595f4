"""Time limits of SLURM's jobs as sbatch takes them, in the minutes that submitit reckons with."""

import re

from genbench.core import ConfigError


def minutes(limit: object) -> int:
    """A limit in minutes, rounded up: minutes[:seconds], hours:minutes:seconds, or days-hours[:minutes[:seconds]].

    Raises:
        ConfigError: it is none of these, or no time at all.
    """
    found = re.fullmatch(r"(?:(\d+)-)?(\d+(?::\d+){0,2})", str(limit))
    total = 0
    if found is not None:
        clock = [int(part) for part in found[2].split(":")]
        if found[1] is None and len(clock) < 3:
            clock = [0, *clock]
        hours, whole, seconds = [*clock, 0, 0][:3]
        total = (24 * int(found[1] or 0) + hours) * 60 + whole - (-seconds // 60)
    if total < 1:
        raise ConfigError(
            f"hydra.launcher.time={limit} is no time limit: give minutes, hydra.launcher.time=1440, or hours as sbatch "
            "takes them, 24:00:00 or 1-00:00:00"
        )
    return total
