"""The inbox on a local folder and on an object store: durable, whole, and never overwritten."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import fsspec  # type: ignore[import-untyped]
import pytest
from airflow.sdk import ObjectStoragePath
from airflow.sdk.io import attach
from fsspec.implementations.memory import MemoryFileSystem  # type: ignore[import-untyped]

from flexsms.core.exceptions import MissingSetting, ServiceUnavailable
from flexsms.sources import object_storage as module
from flexsms.sources import stores
from flexsms.sources.object_storage import ObjectStorageInbox, name_at

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 18, 16, 42, 7, 105000, tzinfo=UTC)


class Clock:
    """A present that tests move on."""

    now = NOW

    def __call__(self) -> datetime:
        return self.now


def dies(*_: object, **__: object) -> None:
    """What a killed process does last."""
    raise KeyboardInterrupt


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["file", "memory"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A local folder, and an object store as fsspec sees it."""
    attach("memory", fs=fsspec.filesystem("memory"))  # as a provider would register S3
    return f"{request.param}://{tmp_path}/inbox"


@pytest.fixture
def inbox(url: str, clock: Clock) -> ObjectStorageInbox:
    return ObjectStorageInbox(url, keep_days=7, now=clock)


def files(url: str) -> list[str]:
    """Everything that is in the inbox, by its path within, but what it knows posts by."""
    return [path for path in everything(url) if not path.startswith("digests/")]


def everything(url: str) -> list[str]:
    root = ObjectStoragePath(url)
    return sorted(path.removeprefix(root.path.rstrip("/") + "/") for path in root.fs.find(root.path))


def body(number: int) -> bytes:
    """A post like no other."""
    return b"[%d]" % number


async def test_a_post_goes_its_way(inbox: ObjectStorageInbox, url: str) -> None:
    name = await inbox.put(b"[1]")
    assert re.fullmatch(r"20261118T164207\.105000Z-[0-9a-f]{32}\.json", name)
    assert files(url) == [f"new/{name}"]
    assert await inbox.names() == [name]
    assert await inbox.read(name) == b"[1]"
    await inbox.done(name)
    assert files(url) == [f"done/20261118/{name}"]
    assert await inbox.names() == []
    assert await inbox.read(name) is None


async def test_a_rejected_post_has_its_reason_beside_it(inbox: ObjectStorageInbox, url: str) -> None:
    name = await inbox.put(b"no")
    await inbox.reject(name, "body: is not JSON.")
    assert files(url) == [f"rejected/{name}", f"rejected/{name}.txt"]
    root = ObjectStoragePath(url)
    assert root.fs.cat_file(f"{root.path}/rejected/{name}") == b"no"
    assert root.fs.cat_file(f"{root.path}/rejected/{name}.txt") == b"body: is not JSON.\n"


async def test_a_rejection_that_was_cut_short_is_not_in_the_way_of_the_next(
    inbox: ObjectStorageInbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = await inbox.put(b"no")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", dies)
        patch.setattr("fsspec.implementations.memory.MemoryFileSystem.pipe_file", dies)
        with pytest.raises(KeyboardInterrupt):
            await inbox.reject(name, "is not JSON")
    await inbox.reject(name, "is not JSON")
    assert await inbox.names() == []


async def test_a_probe_leaves_nothing(inbox: ObjectStorageInbox, url: str) -> None:
    await inbox.probe()
    assert files(url) == []


async def test_credentials_that_are_over_are_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow keeps the file system of a connection for as long as the process lives."""
    keys = {"here": "old", "there": "old"}

    class Store(MemoryFileSystem):
        cachable = False

        def __init__(self) -> None:
            super().__init__()
            self.key = keys["here"]

        def pipe_file(self, *args: Any, **kwargs: Any) -> None:
            if self.key != keys["there"]:
                raise PermissionError("InvalidAccessKeyId")
            super().pipe_file(*args, **kwargs)

    monkeypatch.setattr(module, "has_fs", lambda _: True)
    monkeypatch.setattr(module, "get_fs", lambda *_: Store())
    inbox = ObjectStorageInbox("memory://rotated/inbox")
    await inbox.put(b"[1]")
    keys.update(here="new", there="new")
    with pytest.raises(PermissionError):
        await inbox.put(b"[2]")
    await inbox.put(b"[2]")
    assert len(await inbox.names()) == 2


async def test_an_inbox_that_does_not_exist_yet_is_empty(inbox: ObjectStorageInbox) -> None:
    assert await inbox.names() == []
    assert await inbox.kept("") == []
    await inbox.tidy()


async def test_names_sort_by_arrival_whatever_the_time_zone(inbox: ObjectStorageInbox, clock: Clock) -> None:
    from zoneinfo import ZoneInfo

    names: list[str] = []
    for n in range(5):
        clock.now = (NOW + timedelta(minutes=25 * n)).astimezone(
            ZoneInfo("Asia/Kolkata") if n % 2 else ZoneInfo("America/New_York")
        )
        names.append(await inbox.put(body(n)))
    assert await inbox.names() == names
    assert await inbox.kept(names[2]) == [f"new/{name}" for name in names[3:]]


async def test_writers_at_the_same_moment_do_not_overwrite_each_other(
    inbox: ObjectStorageInbox, url: str, clock: Clock
) -> None:
    replica = ObjectStorageInbox(url, now=clock)
    names = await asyncio.gather(
        *(one.put(body(100 * nr + n)) for nr, one in enumerate((inbox, replica)) for n in range(100))
    )
    assert len(set(names)) == 200
    assert await replica.names() == sorted(names)


async def test_two_readers_do_not_disturb_each_other(
    inbox: ObjectStorageInbox, url: str, clock: Clock
) -> None:
    name = await inbox.put(b"[1]")
    other = ObjectStorageInbox(url, now=clock)
    await asyncio.gather(*(one.done(name) for one in (inbox, other) for _ in range(10)))
    await other.reject(name, "too late")
    assert f"done/20261118/{name}" in files(url)
    assert f"rejected/{name}" not in files(url)


async def test_what_was_read_is_kept_for_its_days_and_then_goes(
    inbox: ObjectStorageInbox, url: str, clock: Clock
) -> None:
    unread = await inbox.put(b"[0]")
    bad = await inbox.put(b"no")
    await inbox.reject(bad, "no")
    read = await inbox.put(b"[1]")
    await inbox.done(read)
    clock.now += timedelta(days=7)
    await inbox.tidy()
    assert f"done/20261118/{read}" in files(url)
    clock.now += timedelta(days=1)
    await inbox.tidy()
    # Nothing goes unread, however old it is.
    assert files(url) == [f"new/{unread}", f"rejected/{bad}", f"rejected/{bad}.txt"]


async def test_what_is_moved_while_it_is_listed_does_not_slip_by(
    inbox: ObjectStorageInbox, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await inbox.put(b"[1]")
    clock.now += timedelta(seconds=1)
    second = await inbox.put(b"[2]")
    store = inbox._store
    ways = {"new": f"done/20261118/{first}", "done/20261118": f"rejected/{second}"}
    listed = type(store).files

    def then_moved(one: Any, folder: str) -> list[str]:
        """Right after a folder was listed, a post leaves it, or one that it would have been found in."""
        found = listed(one, folder)
        if target := ways.pop(folder, None):
            one.move(f"new/{target.rpartition('/')[2]}", target)
        return found

    monkeypatch.setattr(type(store), "files", then_moved)
    assert [key.rpartition("/")[2] for key in await inbox.kept("")] == [first, second]
    assert ways == {}


async def test_no_more_days_are_listed_than_a_page_takes(
    inbox: ObjectStorageInbox, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: list[str] = []
    for _ in range(5):
        for _ in range(2):
            names.append(await inbox.put(body(len(names))))
            clock.now += timedelta(seconds=1)
        clock.now += timedelta(days=1)
    for name in names[:-1]:
        await inbox.done(name)
    store, listed = inbox._store, []

    def noted(name: str) -> None:
        real = getattr(type(store), name)

        def note(one: Any, folder: str) -> list[str]:
            listed.append(folder)
            found: list[str] = real(one, folder)
            return found

        monkeypatch.setattr(type(store), name, note)

    noted("files")
    noted("folders")
    keys = await inbox.kept(names[2], 2)
    assert keys == [f"done/20261119/{names[3]}", f"done/20261120/{names[4]}"]
    assert listed == ["new", "done", "done/20261119", "done/20261120", "rejected"]
    assert [key.rpartition("/")[2] for key in await inbox.kept("", 100)] == names


async def test_it_does_not_block_the_loop(inbox: ObjectStorageInbox, monkeypatch: pytest.MonkeyPatch) -> None:
    here, ran = threading.get_ident(), []

    def noted(kind: type) -> None:
        for name in ("write", "files", "move"):
            real = getattr(kind, name)

            def where(*args: Any, real: Callable[..., Any] = real) -> Any:
                ran.append(threading.get_ident())
                return real(*args)

            monkeypatch.setattr(kind, name, where)

    noted(stores.Folder)
    noted(stores.Bucket)
    name = await inbox.put(b"[1]")
    await inbox.names()
    await inbox.done(name)
    assert len(ran) >= 3
    assert here not in ran


class TestAgain:
    """The same post once more, as Twilio sends it when its answer was lost, or somebody who has seen it."""

    async def test_it_is_one_file_while_it_is_kept(
        self, inbox: ObjectStorageInbox, url: str, clock: Clock
    ) -> None:
        async def again() -> str:
            clock.now += timedelta(hours=1)
            return await inbox.put(b"[1]")

        name = await inbox.put(b"[1]")
        assert [await again() for _ in range(7)] == [name] * 7
        assert files(url) == [f"new/{name}"]
        other = await inbox.put(b"[2]")
        await inbox.done(name)
        await inbox.reject(other, "no")
        assert [await again(), await inbox.put(b"[2]")] == [name, other]
        assert await inbox.names() == []
        # A cursor that was handed out misses nothing, and finds nothing twice.
        assert await inbox.kept(max(name, other)) == []

    async def test_another_replica_knows_it_too(
        self, inbox: ObjectStorageInbox, url: str, clock: Clock
    ) -> None:
        name = await inbox.put(b"[1]")
        assert await ObjectStorageInbox(url, now=clock).put(b"[1]") == name

    async def test_nothing_is_remembered_of_what_is_gone(
        self, inbox: ObjectStorageInbox, url: str, clock: Clock
    ) -> None:
        names = [await inbox.put(body(number)) for number in range(5)]
        for name in names:
            await inbox.done(name)
        clock.now += timedelta(days=8)
        unread = await inbox.put(b"[9]")
        await inbox.tidy()
        assert files(url) == [f"new/{unread}"]
        assert len(everything(url)) == 2
        assert await inbox.put(b"[0]") not in names

    async def test_what_was_taken_away_by_hand_is_kept_anew(
        self, inbox: ObjectStorageInbox, url: str, clock: Clock
    ) -> None:
        first = await inbox.put(b"[1]")
        inbox._store.remove(f"new/{first}")
        clock.now += timedelta(seconds=1)
        assert await inbox.names() == []
        second = await inbox.put(b"[1]")
        assert second != first
        assert await inbox.names() == [second]

    @pytest.mark.parametrize("left", ["", "2026", "../../../etc/passwd", "20261118T164207.105000"])
    async def test_what_a_loss_of_power_tore_is_no_obstacle(
        self, left: str, inbox: ObjectStorageInbox, url: str
    ) -> None:
        name = await inbox.put(b"[1]")
        [digest] = [path for path in everything(url) if path.startswith("digests/")]
        inbox._store.note(digest, left)
        assert await inbox.put(b"[1]") == name
        assert await inbox.names() == [name]

    async def test_one_that_was_written_too_late_does_not_stand_for_the_next(
        self, inbox: ObjectStorageInbox, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It was answered with 503, and cursors behind its name were handed out while it was not there."""
        store = inbox._store
        write = type(store).write

        def late(*args: Any) -> None:
            clock.now += timedelta(seconds=20)
            write(*args)

        with monkeypatch.context() as patch:
            patch.setattr(type(store), "write", late)
            first = await inbox.put(b"[1]")
        cursor = name_at(clock.now - timedelta(seconds=10))
        again = await inbox.put(b"[1]")
        assert first < cursor < again
        assert await inbox.kept(cursor) == [f"new/{again}"]

    async def test_one_that_is_moved_while_it_is_looked_for_is_found(
        self, inbox: ObjectStorageInbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        name = await inbox.put(b"[1]")
        store = inbox._store
        has = type(store).has

        def then_moved(one: Any, key: str) -> bool:
            one.move(f"new/{name}", f"done/20261118/{name}")
            return has(one, key)

        monkeypatch.setattr(type(store), "has", then_moved)
        assert await inbox.put(b"[1]") == name

    async def test_a_post_that_cannot_be_remembered_is_kept_all_the_same(
        self, inbox: ObjectStorageInbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def refuse(*_: object) -> None:
            raise PermissionError(13, "Permission denied", "https://key:secret@store.example.com")

        monkeypatch.setattr(type(inbox._store), "note", refuse)
        name = await inbox.put(b"[1]")
        assert await inbox.names() == [name]
        assert "would be kept once more if it came again: Permission denied" in caplog.text
        assert "secret" not in caplog.text

    async def test_two_at_a_time_are_not_both_written(
        self, inbox: ObjectStorageInbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store, gate, began = inbox._store, threading.Event(), asyncio.Event()
        write, loop = type(store).write, asyncio.get_running_loop()

        def slow(*args: Any) -> None:
            loop.call_soon_threadsafe(began.set)
            assert gate.wait(60)
            write(*args)

        monkeypatch.setattr(type(store), "write", slow)
        first = asyncio.create_task(inbox.put(b"[1]"))
        await began.wait()
        with pytest.raises(ServiceUnavailable, match="is being written right now"):
            await inbox.put(b"[1]")
        gate.set()
        name = await first
        assert await inbox.names() == [name]

    async def test_in_a_bucket_that_costs_a_read_and_a_write(
        self, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        attach("memory", fs=fsspec.filesystem("memory"))
        inbox = ObjectStorageInbox(f"memory://{tmp_path}/inbox", now=clock)
        asked: list[str] = []
        real = {name: getattr(MemoryFileSystem, name) for name in ("cat_file", "pipe_file", "ls", "rm_file")}

        def noted(name: str) -> Callable[..., Any]:
            def note(*args: Any, **more: Any) -> Any:
                asked.append(name)
                return real[name](*args, **more)

            return note

        for name in real:
            monkeypatch.setattr(MemoryFileSystem, name, noted(name))
        await inbox.put(b"[1]")
        assert asked == ["cat_file", "pipe_file", "pipe_file"]


class TestLocally:
    """On a local folder a process may end, and the power fail, at any instruction."""

    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return f"file://{tmp_path}/inbox"

    # What happens in a process that is killed when it does one thing for the nth time.
    KILLED = """
import os, signal, sys, asyncio, pathlib
from flexsms.sources.object_storage import ObjectStorageInbox
def kill(*args, **more): os.kill(os.getpid(), signal.SIGKILL)
exec(sys.argv[2])
asyncio.run(ObjectStorageInbox(sys.argv[1]).put(b"[" + b"1," * 100000 + b"1]"))
"""

    @pytest.mark.parametrize(
        "kill",
        ["os.fsync = kill", "pathlib.Path.replace = kill", "os.open = kill"],
        ids=["before it is on the disk", "before it has its name", "before it is there"],
    )
    async def test_a_half_written_post_is_never_read(
        self, kill: str, inbox: ObjectStorageInbox, url: str, clock: Clock, tmp_path: Path
    ) -> None:
        for folder in ("new", "partial"):
            (tmp_path / "inbox" / folder).mkdir(parents=True)
        killed = await asyncio.create_subprocess_exec(sys.executable, "-c", self.KILLED, url, kill)
        assert await killed.wait() == -signal.SIGKILL
        assert await inbox.names() == await inbox.kept("") == []
        # Nobody was told that it is there. What it left goes some day.
        left = files(url)
        assert len(left) == (0 if "os.open" in kill else 1)
        clock.now = datetime.now(UTC)
        await inbox.tidy()
        assert files(url) == left
        clock.now += timedelta(days=2)
        await inbox.tidy()
        assert files(url) == []

    async def test_file_and_folder_are_on_the_disk_before_it_returns(
        self, inbox: ObjectStorageInbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        done: list[str] = []
        fsync, replace = os.fsync, Path.replace

        def synced(handle: int) -> None:
            done.append("sync " + os.readlink(f"/proc/self/fd/{handle}").removeprefix(f"{tmp_path}/"))
            fsync(handle)

        def renamed(path: Path, target: Path) -> Path:
            done.append("rename")
            return replace(path, target)

        monkeypatch.setattr(os, "fsync", synced)
        monkeypatch.setattr(Path, "replace", renamed)
        name = await inbox.put(b"[1]")
        [partial] = [what for what in done if what.startswith(f"sync inbox/partial/{name}")]
        made = done[: done.index(partial)]
        assert {"sync inbox", f"sync {tmp_path}"} <= set(made)
        assert done[done.index(partial) :][:3] == [partial, "rename", "sync inbox/new"]

    async def test_other_files_are_none_of_its_business(
        self, inbox: ObjectStorageInbox, tmp_path: Path
    ) -> None:
        name = await inbox.put(b"[1]")
        (tmp_path / "inbox" / "new" / ".DS_Store").write_text("")
        (tmp_path / "inbox" / "new" / "x.json").mkdir()
        assert await inbox.names() == [name]
        assert await inbox.kept("") == [f"new/{name}"]

    @pytest.mark.parametrize(
        ("umask", "modes"), [(0, (0o660, 0o770)), (0o022, (0o640, 0o750)), (0o077, (0o600, 0o700))]
    )
    async def test_nobody_else_may_read_it(
        self, umask: int, modes: tuple[int, int], inbox: ObjectStorageInbox, tmp_path: Path
    ) -> None:
        before = os.umask(umask)
        try:
            name = await inbox.put(b"[1]")
            await inbox.done(name)
            await inbox.reject(await inbox.put(b"no"), "is not JSON")
        finally:
            os.umask(before)
        paths = [tmp_path / "inbox", *(tmp_path / "inbox").rglob("*")]
        assert {path.stat().st_mode & 0o777 for path in paths if path.is_file()} == {modes[0]}
        assert {path.stat().st_mode & 0o777 for path in paths if path.is_dir()} == {modes[1]}


async def test_a_store_that_hangs_is_not_waited_for(
    inbox: ObjectStorageInbox, url: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is it given more than its threads, be they given up: neither by who writes nor by who reads."""
    name = await inbox.put(b"[0]")
    gate, began = threading.Event(), []

    def hang(*_: object) -> None:
        began.append(1)
        assert gate.wait(60)

    monkeypatch.setattr(module, "WITHIN_S", 2.0)
    monkeypatch.setattr(module, "AT_ONCE", 3)
    inbox = ObjectStorageInbox(url, now=clock)
    with monkeypatch.context() as patch:
        patch.setattr(type(inbox._store), "files", hang)
        reads = [inbox.names() if number % 2 else inbox.kept("") for number in range(20)]
        answers = await asyncio.gather(*reads, return_exceptions=True)
        assert {type(answer) for answer in answers} == {ServiceUnavailable}
        assert len(began) == 3
        # Twilio's posts are let in meanwhile.
        assert not inbox.takes_no_more
        await inbox.put(b"[1]")
        patch.setattr(type(inbox._store), "write", hang)
        writes = [inbox.put(body(number)) if number % 2 else inbox.probe() for number in range(2, 20)]
        written = await asyncio.gather(*writes, return_exceptions=True)
        assert {type(answer) for answer in written} == {ServiceUnavailable}
        assert (len(began), inbox.takes_no_more) == (6, True)
    gate.set()
    async with asyncio.timeout(30):
        while inbox.takes_no_more:  # noqa: ASYNC110  # a thread tells nobody
            await asyncio.sleep(0.01)
    assert name in await ObjectStorageInbox(url, now=clock).names()


async def test_a_store_that_fails_says_so(tmp_path: Path) -> None:
    (tmp_path / "inbox").write_text("a file where the folder should be")
    inbox = ObjectStorageInbox(f"file://{tmp_path}/inbox")
    with pytest.raises(OSError, match="inbox"):
        await inbox.put(b"[1]")
    with pytest.raises(NotADirectoryError):
        await inbox.names()


async def test_a_store_without_a_provider_is_named() -> None:
    with pytest.raises(
        MissingSetting, match="inbox_path: is in a store that this Airflow does not know, s3; install"
    ):
        await ObjectStorageInbox("s3://bucket/inbox").put(b"[1]")


def test_a_name_begins_with_its_moment() -> None:
    assert name_at(NOW) == "20261118T164207.105000Z"
