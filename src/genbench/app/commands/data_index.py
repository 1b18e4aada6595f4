"""`genbench data index`."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig

from genbench.app.build import resolve
from genbench.app.commands.data_pack import told
from genbench.app.validate import validate_config
from genbench.data.shards import index_shards


def run(config: DictConfig) -> None:
    """Indexes shards where they lie, and says how to read them."""
    plain = resolve(config)
    validate_config(plain, "data_index")
    root = Path(plain["root"]).expanduser()
    index = index_shards(root, {"train": plain["train"], "test": plain["test"]}, plain["on_error"])
    print(f"{root}: {told(index)}\nnext: genbench train data=webdataset data.root={root}")
