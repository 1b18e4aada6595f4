"""Features are those of each image, whatever the batch; what was made once is not made again."""

import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from small_sources import SPEC, Counted, Projection, bits
from torch import Tensor

from genbench.core import DataError
from genbench.data.digits import Digits
from genbench.data.images import ResidentTable
from genbench.evaluation import rows
from genbench.evaluation.extraction import extract
from genbench.evaluation.sources import NoiseSource, TableSource
from genbench.evaluation.store import ChunkStore
from genbench.metrics import FeatureTable


@pytest.fixture(autouse=True)
def _nothing_warns() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def same(a: FeatureTable, b: FeatureTable) -> bool:
    columns = ("features", "logits", "label", "image")
    return all(bits(getattr(a, name)) == bits(getattr(b, name)) for name in columns)


@pytest.mark.parametrize("batch", [1, 7, 64, 250, 5000])
def test_rows_are_the_images_own_in_order_at_any_batch(batch: int) -> None:
    table = extract(NoiseSource(SPEC), Projection(), 333, seed=4, batch=batch, keep_images=True)
    image, label = NoiseSource(SPEC).draw(4, range(333))
    out = Projection()(image)
    assert bits(table.image) == bits(image)
    assert bits(table.label) == bits(label)
    torch.testing.assert_close(table.features, out["features"], rtol=0, atol=1e-6)
    torch.testing.assert_close(table.logits, out["logits"], rtol=0, atol=1e-5)
    assert table.classifies


def test_a_split_gives_every_image_and_a_seed_its_own_subset(tmp_path: Path) -> None:
    source = TableSource(Digits().table("train"), "digits train")
    store = ChunkStore(tmp_path)
    for seed in (0, 1):
        for _ in range(2):
            table = extract(source, Projection(), 300, seed=seed, store=store, keep_images=True)
            wanted = Digits().table("train").take(source.choice(300, seed))
            assert bits(table.image) == bits(wanted.image)
            assert bits(table.label) == bits(wanted.label)
    with pytest.raises(DataError, match=r"has 1437 images.*asks for 2000"):
        extract(source, Projection(), 2000)


def test_an_extraction_that_was_killed_goes_on_where_it_stopped(tmp_path: Path) -> None:
    whole = extract(Counted(), Projection(), 1100)
    with pytest.raises(KeyboardInterrupt):
        extract(Counted(777, KeyboardInterrupt()), Projection(), 1100, store=ChunkStore(tmp_path))
    source = Counted()
    assert same(whole, extract(source, Projection(), 1100, store=ChunkStore(tmp_path)))
    assert source.drawn == list(range(750, 1100))
    # the cost is that of all images, drawn now or then
    assert source.cost is not None
    assert (source.cost.images, source.cost.seconds, source.cost.evaluations) == (1100, 275.0, 2200)
    again, extractor = Counted(), Projection()
    assert same(whole, extract(again, extractor, 1100, store=ChunkStore(tmp_path)))
    assert (again.drawn, extractor.seen) == ([], 0)


def test_chunks_may_be_made_in_any_order_and_serve_a_larger_number(tmp_path: Path) -> None:
    store = ChunkStore(tmp_path)
    extract(Counted(), Projection(), 500, store=store)
    sorted(store.home.rglob("0-00000000-*"))[0].unlink()
    source = Counted()
    table = extract(source, Projection(), 600, store=store)
    assert source.drawn == [*range(250), *range(500, 600)]
    assert same(table, extract(Counted(), Projection(), 600))


@pytest.mark.parametrize(
    "changed",
    [
        {"extractor": Projection("another")},
        {"seed": 1},
        {"store_content": {"weights": "others"}},
    ],
)
def test_features_of_something_else_are_not_taken(tmp_path: Path, changed: dict[str, object]) -> None:
    extract(Counted(), Projection(), 250, store=ChunkStore(tmp_path, {"weights": "these"}))
    source = Counted()
    content = changed.get("store_content", {"weights": "these"})
    extract(
        source,
        changed.get("extractor", Projection()),  # type: ignore[arg-type]
        250,
        seed=changed.get("seed", 0),  # type: ignore[arg-type]
        store=ChunkStore(tmp_path, content),  # type: ignore[arg-type]
    )
    assert source.drawn == list(range(250))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)


def swap(path: Path) -> None:
    other = next(p for p in sorted(path.parent.iterdir()) if p != path)
    path.write_bytes(other.read_bytes())


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (cut, ""),
        (flip, "sha256"),
        (swap, "other images"),
        (lambda path: path.write_bytes(b""), ""),
        (lambda path: path.write_bytes(b"\x80\x04\x95pickled?" * 9), ""),
    ],
)
def test_a_spoilt_chunk_is_told_and_made_again(tmp_path: Path, spoil, reason: str) -> None:  # type: ignore[no-untyped-def]
    store, extractor = ChunkStore(tmp_path), Projection()
    whole = extract(Counted(), extractor, 600, store=store)
    path = sorted(store.home.rglob("0-00000250-*"))[0]
    spoil(path)
    source = Counted()
    with pytest.warns(UserWarning, match=rf"{path.name} cannot be used \(.*{reason}.*\): it is made again") as told:
        assert same(whole, extract(source, extractor, 600, store=store))
    assert len(told) == 1
    assert "\n" not in str(told[0].message)
    assert source.drawn == list(range(250, 500))
    assert same(whole, extract(Counted(), extractor, 600, store=store))


def test_images_are_kept_for_the_next_extractor(tmp_path: Path) -> None:
    store, first, second = ChunkStore(tmp_path), Counted(), Counted()
    kept = extract(first, Projection(), 300, store=store, keep_images=True)
    table = extract(second, Projection("another"), 300, store=store)
    assert second.drawn == []
    assert bits(table.label) == bits(kept.label)
    assert second.cost == first.cost
    # and images that were not kept are drawn without extracting again
    plain, third, extractor = ChunkStore(tmp_path / "plain"), Counted(), Projection()
    extract(Counted(), extractor, 300, store=plain)
    assert same(kept, extract(third, extractor, 300, store=plain, keep_images=True))
    assert (len(third.drawn), extractor.seen) == (300, 300)
    assert same(kept, extract(third, extractor, 300, store=plain, keep_images=True))
    assert len(third.drawn) == 300


def test_stored_images_are_not_stored_again(tmp_path: Path) -> None:
    source = TableSource(Digits().table("test"), "digits test")
    for _ in range(2):
        table = extract(source, Projection(), 360, store=ChunkStore(tmp_path), keep_images=True)
        assert bits(table.image) == bits(Digits().table("test").take(range(360)).image)
    assert len({path.parent for path in tmp_path.rglob("*.safetensors")}) == 1


def test_many_images_are_mapped_and_leave_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resident = extract(Counted(), Projection(), 600, store=ChunkStore(tmp_path / "a"), keep_images=True)
    monkeypatch.setattr(rows, "RESIDENT_LIMIT", 600 * 64 - 1)
    before = Path("/proc/self/maps").read_text().count(str(tmp_path))
    mapped = extract(Counted(), Projection(), 600, store=ChunkStore(tmp_path / "b"), keep_images=True)
    assert same(resident, mapped)
    assert bits(mapped.take([599, 3, 3]).image) == bits(resident.take([599, 3, 3]).image)
    assert Path("/proc/self/maps").read_text().count(str(tmp_path)) == before + 1
    names = [sorted(p.parent.name for p in (tmp_path / folder).rglob("*") if p.is_file()) for folder in "ab"]
    assert names[0] == names[1]


class Featureless(Projection):
    def forward(self, image: Tensor) -> dict[str, Tensor]:
        out = super().forward(image)
        return {"features": out["features"].bfloat16(), "logits": out["logits"][:, :0]}


def test_no_labels_no_classes_and_half_precision(tmp_path: Path) -> None:
    source = TableSource(ResidentTable(Digits().table("test").take(range(360)).image), "unlabelled")
    for _ in range(2):
        table = extract(source, Featureless(), 360, store=ChunkStore(tmp_path))
        assert table.label is None
        assert table.image is None
        assert (table.features.dtype, tuple(table.logits.shape)) == (torch.float32, (360, 0))


class Mixed(NoiseSource):
    def draw(self, seed: int, indices):  # type: ignore[no-untyped-def]
        image, label = super().draw(seed, indices)
        return image, label if indices[0] < 250 else None


def test_labels_for_some_images_only_are_refused() -> None:
    with pytest.raises(DataError, match=r"from number 250 on .* some have labels, some none"):
        extract(Mixed(SPEC), Projection(), 300)


def test_a_folder_that_cannot_be_written_costs_a_warning(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.warns(UserWarning, match="file.*; judging goes on without"):
        table = extract(Counted(), Projection(), 10, store=ChunkStore(tmp_path / "file"))
    assert same(table, extract(Counted(), Projection(), 10))
