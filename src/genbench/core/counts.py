"""Numbers with a range, as annotations that configs are checked against."""

from typing import Annotated

from annotated_types import Ge, Le

Count = Annotated[int, Ge(1)]
"""How many there are of something that there must be: channels, layers, images."""

Share = Annotated[float, Ge(0.0), Le(1.0)]
"""A part of a whole, in [0,1]."""
