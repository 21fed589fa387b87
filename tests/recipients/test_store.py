"""Stores that are no disk: what they are asked for, and what they say in words of their own."""

from __future__ import annotations

from collections.abc import Callable
from errno import EINVAL
from typing import Any

import pytest
from airflow.sdk import BaseHook, Connection
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.sdk.io import store as airflow_stores
from botocore.exceptions import EndpointConnectionError
from fsspec.implementations.memory import MemoryFileSystem  # type: ignore[import-untyped]

from flexsms.core.broadcast import BroadcastBatch, BroadcastText, digest_of
from flexsms.core.exceptions import (
    FlexSmsError,
    InvalidInput,
    NoConnection,
    PermanentError,
    ServiceUnavailable,
)
from flexsms.recipients.files import file_rows
from flexsms.recipients.folder import WORK_LIST, BroadcastFolder

LISTS, FOLDER = "memory://lists", "The folder of the broadcast"


class Store(MemoryFileSystem):  # type: ignore[misc]
    """A bucket in memory.

    :ivar fails: is called where the store is asked for a file
    :ivar has_folders: nothing can be written into a folder that nobody has made
    """

    cachable = False
    fails: Callable[[], Any] | None = None
    has_folders = False

    def __init__(self) -> None:
        super().__init__()
        self.store: dict[str, Any] = {}
        self.pseudo_dirs = [""]
        self.ranges: list[tuple[int, int]] = []
        self.made: list[str] = []

    def _open(self, path: str, mode: str = "rb", **kwargs: Any) -> Any:
        if self.fails:
            self.fails()
        if self.has_folders and mode == "wb" and path.rpartition("/")[0] not in self.made:
            raise FileNotFoundError(path)
        return super()._open(path, mode, **kwargs)

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any) -> Any:
        self.ranges.append((start or 0, end or 0))
        if start and start >= self.size(path):
            raise OSError(EINVAL, "The requested range is not satisfiable")  # as s3fs does
        return super().cat_file(path, start=start, end=end, **kwargs)

    def rm(self, *args: Any, **kwargs: Any) -> None:
        if self.fails:
            self.fails()
        super().rm(*args, **kwargs)

    def mkdir(self, path: str, *_: Any, **__: Any) -> None:
        self.made.append(path)

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        self.made.append(path)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    """The store of URLs with and without the connection ``bucket``."""
    made = Store()
    for name, conn_id in (("memory", None), ("memory-bucket", "bucket")):
        monkeypatch.setitem(
            airflow_stores._STORE_CACHE, name, airflow_stores.ObjectStore("memory", conn_id, made)
        )
    return made


def test_a_batch_takes_its_range_of_the_work_list_and_no_block(store: Store) -> None:
    folder = BroadcastFolder(f"{LISTS}/spring")
    texts = [BroadcastText(row, "+14155550100", "+14155550171", "hello").to_line() for row in range(1, 10)]
    with folder.write(WORK_LIST) as file:
        file.writelines(texts)
    start, lines = len(texts[0]), b"".join(texts[1:3])
    batch = BroadcastBatch(
        0, "", folder.url, start, start + len(lines), texts=2, zones=(), digest=digest_of(lines)
    )
    assert [text.row for text in folder.texts(batch)] == [2, 3]
    assert store.ranges == [(start, start + len(lines))]


def test_a_work_list_that_has_become_shorter_is_another_one(store: Store) -> None:
    folder = BroadcastFolder(f"{LISTS}/spring")
    with folder.write(WORK_LIST) as file:
        file.write(b"{}\n")
    batch = BroadcastBatch(0, "", folder.url, 1000, 2000, texts=3, zones=(), digest=digest_of(b"x"))
    with pytest.raises(PermanentError, match="not the one that was checked"):
        next(folder.texts(batch))


def test_no_bucket_and_no_folder_of_a_bucket_is_made(store: Store) -> None:
    """S3 would make a bucket whose name somebody has mistyped, and numbers would be in it."""
    folder = BroadcastFolder("memory://bucket@lists/spring")
    folder.clear()
    folder.write_results("results/00000.jsonl", [])
    assert store.made == []


def test_a_store_with_folders_gets_them(store: Store) -> None:
    store.has_folders = True
    folder = BroadcastFolder(f"{LISTS}/spring")
    folder.write_results("results/00000.jsonl", [])
    assert [path.strip("/") for path in store.made] == ["lists/spring/results"]
    assert list(folder.results("results/00000.jsonl")) == []


def refuse() -> None:
    raise PermissionError("Forbidden")


def miss() -> None:
    raise FileNotFoundError("The specified bucket does not exist")


def be_away() -> None:
    raise EndpointConnectionError(endpoint_url="https://s3.example.com/lists/+14155550171.csv")


def be_full() -> None:
    raise OSError(28, "No space left on device")


def read(url: str) -> None:
    list(file_rows(f"{url}/list.csv", lambda _: None))


def write(url: str) -> None:
    BroadcastFolder(f"{url}/spring").write_results("results/00000.jsonl", [])


def clear(url: str) -> None:
    BroadcastFolder(f"{url}/spring").clear()


@pytest.mark.parametrize(
    ("work", "fails", "kind", "sentence"),
    [
        (
            read,
            refuse,
            InvalidInput,
            "recipients: memory://lists refuses the login of the Airflow connection 'bucket'; let it list and get",
        ),
        (
            write,
            refuse,
            InvalidInput,
            f"{FOLDER}: memory://lists refuses the login of the Airflow connection 'bucket'; let it list, get, put",
        ),
        (clear, refuse, InvalidInput, f"{FOLDER}: memory://lists refuses the login"),
        (
            read,
            miss,
            InvalidInput,
            "recipients: there is no such file or no such bucket, memory://lists; check",
        ),
        (write, miss, InvalidInput, f"{FOLDER}: memory://lists is not there; make it, or check the URL."),
        (
            read,
            be_away,
            ServiceUnavailable,
            "recipients: memory://lists does not do as it should (EndpointConnectionError: Could not connect to the",
        ),
        (clear, be_away, ServiceUnavailable, f"{FOLDER}: memory://lists does not do as it should (Endpoint"),
        (write, be_full, ServiceUnavailable, "No space left on device); trying again later."),
    ],
)
def test_what_a_store_says_is_a_sentence_that_names_the_setting(
    work: Callable[[str], None],
    fails: Callable[[], Any],
    kind: type[FlexSmsError],
    sentence: str,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(BaseHook, "get_connection", lambda conn_id: Connection(conn_id=conn_id))
    store.fails = fails
    with pytest.raises(kind) as raised:
        work("memory://bucket@lists")
    assert sentence in str(raised.value)
    assert "+14155550171" not in str(raised.value)
    assert raised.value.__suppress_context__  # the library's own words, which are in no log then


def test_who_comes_without_a_connection_may_name_one(store: Store) -> None:
    store.fails = refuse
    with pytest.raises(InvalidInput, match=r"refuses the worker's login; let it .* or name an Airflow conn"):
        read(LISTS)


@pytest.mark.parametrize("fails", [refuse, be_away])
def test_a_connection_that_airflow_lacks_is_why_a_store_refuses(
    fails: Callable[[], Any], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The provider of AWS falls back to the worker's login, and only warns."""

    def missing(_: str) -> Any:
        raise AirflowNotFoundException

    monkeypatch.setattr(BaseHook, "get_connection", missing)
    store.fails = fails
    with pytest.raises(NoConnection, match="recipients: Airflow has no connection 'bucket'; create it"):
        read("memory://bucket@lists")


def test_a_store_that_nobody_knows_takes_no_broadcast() -> None:
    with pytest.raises(
        InvalidInput, match=f"{FOLDER}: is in a store that this Airflow does not know, nowhere"
    ):
        clear("nowhere://lists")


def test_a_defect_is_not_told_as_the_store_s(store: Store) -> None:
    def defect() -> None:
        raise KeyError("row")

    store.fails = defect
    with pytest.raises(KeyError):
        read(LISTS)
