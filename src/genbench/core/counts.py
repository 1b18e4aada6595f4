"""Numbers of things, as annotations that configs are checked against."""

from typing import Annotated

from annotated_types import Ge

Count = Annotated[int, Ge(1)]
"""How many there are of something that there must be: channels, layers, images."""
