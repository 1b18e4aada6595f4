"""Files that the names of others count."""

import pytest

from genbench.data.series import tell_missing


@pytest.mark.parametrize(
    ("files", "missing", "of", "stem", "first"),
    [
        (["a/t-00000-of-00003.parquet", "a/t-00002-of-00003.parquet"], 1, 3, "a/t-", 1),
        (["a/t-00001-of-00003.parquet"], 2, 3, "a/t-", 0),
        (["t-1-of-3", "t-3-of-3"], 1, 3, "t-", 2),  # which count from one
        (["a/t-000000.tar", "a/t-000002.tar"], 1, 3, "a/t-", 1),
        (["v1.2/t-8.tar", "v1.2/t-10.tar", "v1.2/t-13.tar"], 3, 6, "v1.2/t-", 9),
        (["00000.tar", "00002.tar"], 1, 3, "", 1),
    ],
)
def test_what_the_names_of_others_count_is_missed(
    files: list[str], missing: int, of: int, stem: str, first: int, caplog: pytest.LogCaptureFixture
) -> None:
    tell_missing(files)
    assert caplog.messages == [f"{missing} of the {of} files {stem}* are missing, the first is number {first}"]


@pytest.mark.parametrize(
    "files",
    [
        ["t-1-of-3", "t-2-of-3", "t-3-of-3"],
        ["v1.2-7.tar", "v1.2-8.tar"],
        ["train-0.tar", "val-7.tar", "other.tar"],
        ["t-0.tar", "t-2.zip"],
    ],
)
def test_a_whole_series_is_not(files: list[str], caplog: pytest.LogCaptureFixture) -> None:
    tell_missing(files)
    assert not caplog.messages
