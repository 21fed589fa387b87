"""Where posts of Event Streams wait until they are read: a folder or a bucket, by its ``ObjectStoragePath``.

``<inbox>/new/<name>`` has arrived, ``done/<day>/<name>`` came on that day and is stored, ``rejected/<name>`` holds
something that cannot be read, with ``<name>.txt`` saying what. Names begin with the time of arrival, so they sort by
it, and end with something random, so no two writers ever choose the same. Nothing here needs a lock: a post is written
once, whole, and from then on only moved.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, TypeVar

from airflow.sdk import ObjectStoragePath
from airflow.sdk.io import get_fs, has_fs

from flexsms.core.errors import MissingSetting
from flexsms.twilio.config import DEFAULT_INBOX_KEEP_DAYS

T = TypeVar("T")

NEW, DONE, REJECTED, PARTIAL = "new", "done", "rejected", "partial"
_MOMENT = "%Y%m%dT%H%M%S.%fZ"
# Threads per inbox. A store that hangs holds at most so many, and nobody else's.
AT_ONCE = 32
# What a killed receiver left half-written was never confirmed to Twilio. After so long nobody is writing it any more.
PARTIAL_KEEP = timedelta(days=1)


class ObjectStorageInbox:
    """An inbox at an ``ObjectStoragePath``: a local folder, S3, GCS, Azure, or whatever else fsspec knows.

    Every method waits in a thread of the inbox's own, never in the event loop, and raises what the store raises, or
    :class:`flexsms.core.errors.MissingSetting` where Airflow has no provider for the store.

    :param url: like ``file:///var/lib/flexsms/inbox`` or ``s3://aws_default@bucket/flexsms``
    :param keep_days: days that a post is kept after it has arrived, and in any case until it is read
    :param now: the present, an aware datetime
    """

    def __init__(
        self,
        url: str,
        *,
        keep_days: int = DEFAULT_INBOX_KEEP_DAYS,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.url = url
        self._keep = timedelta(days=keep_days)
        self._now = now
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="flexsms-inbox")

    @cached_property
    def _store(self) -> _Store:
        # Made in a thread: Airflow reads the connection that the URL may name.
        path = ObjectStoragePath(self.url)
        if path.protocol in ("file", "local"):
            return _Folder(Path(path.path))
        try:
            # Not the path's own, unless it was attached: Airflow keeps that, and its credentials, for ever.
            fs = get_fs(path.protocol, path.conn_id) if has_fs(path.protocol) else path.fs
            return _Bucket(fs, path.path.rstrip("/"))
        except (ImportError, ValueError):  # Airflow's, for what no provider knows, or one without its extra
            raise MissingSetting(
                "inbox_path",
                f"is in a store that this Airflow does not know, {path.protocol}",
                "install its provider, for s3:// apache-airflow-providers-amazon[s3fs]",
            ) from None

    async def put(self, body: bytes) -> str:
        """Keep a post, so that it survives a loss of power the moment this returns.

        :return: its name
        """
        name = f"{name_at(self._now())}-{secrets.token_hex(6)}.json"
        await self._do(lambda: self._store.write(f"{NEW}/{name}", body))
        return name

    async def probe(self) -> None:
        """Write something and remove it again, as proof that a post could be kept."""
        key = f"{PARTIAL}/{name_at(self._now())}-{secrets.token_hex(6)}.probe"

        def probe() -> None:
            self._store.write(key, b"")
            self._store.remove(key)

        await self._do(probe)

    async def names(self) -> list[str]:
        """What has arrived and is not read, oldest first."""
        return await self._do(lambda: self._posts(NEW))

    async def kept(self, after: str, most: int | None = None) -> list[str]:
        """The keys of posts that have arrived after another, read or not, oldest first.

        :param after: the name of a post, or the beginning of one; ``""`` for everything
        :param most: only so many; no more days are listed than that takes
        """

        def look() -> list[str]:
            found: dict[str, str] = {}

            def add(folder: str) -> None:
                found.update({name: f"{folder}/{name}" for name in self._posts(folder) if name > after})

            # In the order of a post's way, so that none slips by while it is moved.
            add(NEW)
            for day in sorted(day for day in self._store.list(DONE) if day >= after[:8]):
                add(f"{DONE}/{day}")
                if most is not None and sum(name[:8] <= day for name in found) >= most:
                    break
            add(REJECTED)
            return [found[name] for name in sorted(found)[:most]]

        return await self._do(look)

    async def read(self, name: str) -> bytes | None:
        """A post that is not read yet, None when somebody else was quicker."""
        return await self._do(lambda: self._store.read(f"{NEW}/{name}"))

    async def read_kept(self, key: str) -> bytes | None:
        """A post by its key, also when it was moved meanwhile; None when it is gone."""

        def look() -> bytes | None:
            name = key.rpartition("/")[2]
            body = self._store.read(key)
            for folder in (NEW, _day_of(name), REJECTED):
                if body is None:
                    body = self._store.read(f"{folder}/{name}")
            return body

        return await self._do(look)

    async def done(self, name: str) -> None:
        """A post is read, and all that was in it is stored."""
        await self._do(lambda: self._store.move(f"{NEW}/{name}", f"{_day_of(name)}/{name}"))

    async def reject(self, name: str, reason: str) -> None:
        """A post holds something that cannot be read: it is kept, with the reason beside it, until a person looks."""

        def move() -> None:
            self._store.write(f"{REJECTED}/{name}.txt", f"{reason}\n".encode())
            self._store.move(f"{NEW}/{name}", f"{REJECTED}/{name}")

        await self._do(move)

    async def tidy(self) -> None:
        """Remove what is read and came long ago, and what a killed receiver left half-written."""

        def tidy() -> None:
            came_before = f"{self._now() - self._keep:%Y%m%d}"
            for day in self._store.list(DONE):
                if day < came_before:
                    self._store.remove_folder(f"{DONE}/{day}")
            written_before = name_at(self._now() - PARTIAL_KEEP)
            for name in self._store.list(PARTIAL):
                if name < written_before:
                    self._store.remove(f"{PARTIAL}/{name}")

        await self._do(tidy)

    def _posts(self, folder: str) -> list[str]:
        return sorted(name for name in self._store.list(folder) if name.endswith(".json"))

    async def _do(self, work: Callable[[], T]) -> T:
        def attempt() -> T:
            try:
                return work()
            except Exception:
                # Its credentials may be over: the next one asks the Airflow connection again.
                vars(self).pop("_store", None)
                raise

        return await asyncio.get_running_loop().run_in_executor(self._threads, attempt)


def name_at(moment: datetime) -> str:
    """How the names of posts begin that arrive at a moment."""
    return f"{moment.astimezone(UTC):{_MOMENT}}"


def moment_of(name: str) -> datetime:
    """When a post arrived, by its name."""
    return datetime.strptime(name.partition("-")[0], _MOMENT).replace(tzinfo=UTC)


def _day_of(name: str) -> str:
    # Of its arrival, so that whoever pulls in the order of arrival needs to list few days.
    return f"{DONE}/{name[:8]}"


class _Store(Protocol):
    """What an inbox needs of a file system. Keys are relative to the inbox; what is not there is no error."""

    def write(self, key: str, body: bytes) -> None: ...
    def read(self, key: str) -> bytes | None: ...
    def list(self, folder: str) -> list[str]: ...
    def move(self, key: str, target: str) -> None: ...
    def remove(self, key: str) -> None: ...
    def remove_folder(self, folder: str) -> None: ...


class _Folder:
    """A local folder. fsspec's own knows neither fsync nor an atomic name, so this is the operating system's."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def write(self, key: str, body: bytes) -> None:
        target = self._root / key
        # What a killed writer left behind must not be in the way of the next one.
        partial = self._root / PARTIAL / f"{target.name}-{secrets.token_hex(4)}"
        self._make(partial.parent)
        self._make(target.parent)
        with partial.open("xb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
        _sync_folder(target.parent)

    def read(self, key: str) -> bytes | None:
        try:
            return (self._root / key).read_bytes()
        except FileNotFoundError:
            return None

    def list(self, folder: str) -> list[str]:
        try:
            return os.listdir(self._root / folder)
        except FileNotFoundError:
            return []

    def move(self, key: str, target: str) -> None:
        self._make((self._root / target).parent)
        with suppress(FileNotFoundError):
            (self._root / key).replace(self._root / target)

    def remove(self, key: str) -> None:
        (self._root / key).unlink(missing_ok=True)

    def remove_folder(self, folder: str) -> None:
        with suppress(FileNotFoundError):
            shutil.rmtree(self._root / folder)

    def _make(self, folder: Path) -> None:
        """Make a folder that outlives a loss of power, with all above it."""
        if not folder.is_dir():
            self._make(folder.parent)
            folder.mkdir(exist_ok=True)
            _sync_folder(folder.parent)


class _Bucket:
    """An object store, where an object is there whole or not at all, and durable once the store has said so."""

    def __init__(self, fs: Any, root: str) -> None:
        self._fs = fs
        self._root = root

    def write(self, key: str, body: bytes) -> None:
        self._fs.pipe_file(f"{self._root}/{key}", body)

    def read(self, key: str) -> bytes | None:
        try:
            body: bytes = self._fs.cat_file(f"{self._root}/{key}")
        except FileNotFoundError:
            return None
        return body

    def list(self, folder: str) -> list[str]:
        self._fs.invalidate_cache()  # others write too, and some file systems remember listings for ever
        try:
            paths = self._fs.ls(f"{self._root}/{folder}", detail=False)
        except FileNotFoundError:
            return []
        return [path.rstrip("/").rpartition("/")[2] for path in paths]

    def move(self, key: str, target: str) -> None:
        with suppress(FileNotFoundError):
            self._fs.cp_file(f"{self._root}/{key}", f"{self._root}/{target}")
            self._fs.rm_file(f"{self._root}/{key}")

    def remove(self, key: str) -> None:
        with suppress(FileNotFoundError):
            self._fs.rm_file(f"{self._root}/{key}")

    def remove_folder(self, folder: str) -> None:
        with suppress(FileNotFoundError):
            self._fs.rm(f"{self._root}/{folder}", recursive=True)


def _sync_folder(folder: Path) -> None:
    """Make names in a folder durable: an fsync of the file does not include them."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
