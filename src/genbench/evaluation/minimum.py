"""Too few images are said before the first is drawn."""

from collections.abc import Mapping

from genbench.core import ConfigError
from genbench.metrics import Metric
from genbench.metrics.base import SAMPLES


def require_enough(metrics: Mapping[str, Metric], counts: Mapping[str, int], dims: int) -> None:
    """Refuses a protocol whose metrics take more images than there will be.

    `counts` are the images of each kind that `metrics.base` names, `dims` the features of each.

    Raises:
        ConfigError: all metrics that have too few, their least numbers, and what to type.
    """
    lacks = {name: lack for name, metric in metrics.items() if (lack := metric.shortage(counts, dims))}
    if not lacks:
        return
    needed = max(metrics[name].least(dims).get(SAMPLES, 0) for name in lacks)
    more = f"set protocol.samples={needed} or more, or " if needed > counts[SAMPLES] else ""
    rest = ",".join(name for name in metrics if name not in lacks)
    without = f"leave {' and '.join(lacks)} out, metric=[{rest}]" if rest else "choose other metrics"
    raise ConfigError(f"{'; '.join(lacks.values())}: {more}{without}")
