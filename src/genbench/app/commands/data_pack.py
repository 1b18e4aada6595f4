"""`genbench data pack`."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig

from genbench.app.build import resolve
from genbench.app.validate import validate_config
from genbench.data.pack import Packing, pack
from genbench.data.shard_index import Index


def run(config: DictConfig) -> None:
    """Packs a folder, or finds it packed, and says how to read it."""
    plain = resolve(config)
    validate_config(plain, "data_pack")
    source, out = Path(plain.pop("source")).expanduser(), Path(plain.pop("out")).expanduser()
    index, written = pack(source, out, Packing(**plain))
    done = f"{written} of them written now" if written else "packed before and verified, nothing to do"
    print(f"{out}: {told(index)}; {done}\nnext: genbench train data=webdataset data.root={out}")


def told(index: Index) -> str:
    """What an index holds, in words."""
    counts = [f"{sum(s.images for s in index.of(split))} {split}" for split in ("train", "test")]
    gone = f"; {len(index.left_out)} that cannot be read left out: {index.left_out[0]}, ..." if index.left_out else ""
    return f"{' and '.join(counts)} images in {len(index.shards)} shards{gone}"
