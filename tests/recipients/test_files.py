from __future__ import annotations

import gzip
from collections.abc import Collection
from pathlib import Path

import fsspec  # type: ignore[import-untyped]
import pytest
from airflow.sdk.io import attach

from flexsms.core.exceptions import InvalidInput
from flexsms.recipients.files import file_rows, kind_of


def anything(_: Collection[str]) -> None:
    """Any columns will do."""


@pytest.mark.parametrize("name", ["list.csv", "list.CSV", "list.csv.gz", "list.jsonl", "list.ndjson.gz"])
def test_a_file_is_read_by_its_name(name: str, tmp_path: Path) -> None:
    content = b"to_number\n+1\n" if "csv" in name.lower() else b'{"to_number": "+1"}\n'
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    for url in (str(tmp_path / name), (tmp_path / name).as_uri()):
        assert [row.values for row in file_rows(url, anything)] == [{"to_number": "+1"}]


def test_a_bucket_is_read() -> None:
    """Over what every store has in common, and not the local disk's own file."""
    store = fsspec.filesystem("memory")
    attach("memory", fs=store)
    store.pipe("/lists/list.csv", b"to_number\n+1\n+2\n")
    assert [row.number for row in file_rows("memory://lists/list.csv", anything)] == [1, 2]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (
            "list.txt",
            "recipients: is neither a CSV nor a JSON Lines file by its name; let it end with .csv or",
        ),
        ("list.xlsx", "recipients: is a spreadsheet; save it there as CSV in UTF-8."),
        ("list.csv.zip", "recipients: is a zip archive; unpack it, or pack the file with gzip."),
        ("lists.csv/", "recipients: is a folder; give one file that is in it."),
        ("list.csv", "recipients: there is no such file; check the path."),
        ("nowhere://list.csv", "recipients: is in a store that this Airflow does not know, nowhere; install"),
    ],
)
def test_what_is_no_list_is_named(name: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as raised:
        list(file_rows(name if "://" in name else f"{tmp_path}/{name}", anything))
    assert sentence in str(raised.value)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"PK\x03\x04rest", "recipients: is a spreadsheet or a zip archive, whatever its name says; save it"),
        (gzip.compress(b"to_number\n"), "recipients: is a gzip file; let its name end with .gz."),
    ],
    ids=["zip", "gzip"],
)
@pytest.mark.parametrize("name", ["list.csv", "list.jsonl"])
def test_a_file_that_is_packed_and_not_named_so_is_named(
    name: str, content: bytes, sentence: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidInput) as raised:
        list(file_rows(str(tmp_path / name), anything))
    assert sentence in str(raised.value)


def test_the_kind_is_in_the_last_suffix() -> None:
    assert kind_of("a.csv.jsonl") == ".jsonl"
