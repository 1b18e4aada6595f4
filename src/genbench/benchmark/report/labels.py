"""Names beside points, placed so that they do not cover each other."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

MARK = 5.0  # points from a marker's centre to its edge
PLACES = (
    *(("left", 9, 3), ("right", -9, 3), ("left", 9, -10), ("right", -9, -10), ("center", 0, 11), ("center", 0, -18)),
    *(("left", 9, 15), ("right", -9, 15), ("left", 9, -22), ("right", -9, -22), ("center", 0, 23), ("center", 0, -30)),
)
"""Where a name may stand, best first: alignment and offset in points."""


def name_points(figure: Figure, ax: Axes, points: Sequence[tuple[str, float, float]]) -> None:
    """Writes each (name, x, y) in the first place inside the axes that is free of points and texts, else the freest."""
    figure.draw_without_rendering()  # the layout decides where data stand
    mark = MARK * figure.dpi / 72
    centres = [ax.transData.transform((x, y)) for _, x, y in points]
    taken = [Bbox.from_extents(cx - mark, cy - mark, cx + mark, cy + mark) for cx, cy in centres]
    taken += [text.get_window_extent() for text in ax.texts]
    for name, x, y in points:
        candidates = []
        for align, dx, dy in PLACES:
            text = ax.annotate(name, (x, y), (dx, dy), textcoords="offset points", ha=align, fontsize=8)
            box = text.get_window_extent()
            text.remove()
            outside = not (ax.bbox.x0 <= box.x0 and box.x1 <= ax.bbox.x1)
            candidates.append((sum(box.overlaps(other) for other in taken) + 10 * outside, (align, dx, dy), box))
        _, (align, dx, dy), box = min(candidates, key=lambda candidate: candidate[0])
        ax.annotate(name, (x, y), (dx, dy), textcoords="offset points", ha=align, fontsize=8)
        taken.append(box)
