import hashlib

import torch

from genbench.data.images import ResidentTable

IMAGE = torch.arange(24, dtype=torch.uint8).reshape(4, 1, 2, 3)
LABEL = torch.tensor([3, 1, 2, 0])
CAPTION = ["three", "one", "two", "nought"]


def test_take_keeps_the_order_asked_for() -> None:
    table = ResidentTable(IMAGE, LABEL, CAPTION)
    for indices in ([2, 0, 2], torch.tensor([2, 0, 2])):
        images = table.take(indices)
        assert torch.equal(images.image, torch.stack([IMAGE[2], IMAGE[0], IMAGE[2]]))
        assert images.label.tolist() == [2, 3, 2]
        assert images.caption == ["two", "three", "two"]
        assert images.index.tolist() == [2, 0, 2]
        assert len(images) == 3


def test_select_is_a_table_of_the_same_rows() -> None:
    table = ResidentTable(IMAGE, LABEL, CAPTION).select([3, 1])
    images = table.take([0, 1])
    assert images.label.tolist() == [0, 1]
    assert images.caption == ["nought", "one"]
    assert images.index.tolist() == [0, 1]


def test_fingerprint_is_the_sha256_of_shape_captions_pixels_and_labels() -> None:
    bytes_ = b"[[4, 1, 2, 3], null]" + bytes(range(24))
    assert ResidentTable(IMAGE).fingerprint() == hashlib.sha256(bytes_).hexdigest()
    labels = LABEL.numpy().astype("<i8").tobytes()
    assert ResidentTable(IMAGE, LABEL).fingerprint() == hashlib.sha256(bytes_ + labels).hexdigest()


def test_fingerprint_sees_every_kind_of_change() -> None:
    brighter = IMAGE.clone()
    brighter[3, 0, 1, 2] += 1
    tables = [
        ResidentTable(IMAGE, LABEL, CAPTION),
        ResidentTable(brighter, LABEL, CAPTION),
        ResidentTable(IMAGE.reshape(4, 1, 3, 2), LABEL, CAPTION),
        ResidentTable(IMAGE, LABEL.flip(0), CAPTION),
        ResidentTable(IMAGE, LABEL, CAPTION[::-1]),
        ResidentTable(IMAGE, LABEL, None),
        ResidentTable(IMAGE, None, CAPTION),
    ]
    assert len({table.fingerprint() for table in tables}) == len(tables)
    assert tables[0].fingerprint() == ResidentTable(IMAGE.clone(), LABEL.clone(), [*CAPTION]).fingerprint()
