"""The trigger that starts flexsms_track when something has arrived."""

from __future__ import annotations

import asyncio
import json
import pkgutil
import threading
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from flexsms.hooks.twilio import TwilioHook
from flexsms.sources import stores
from flexsms.sources.object_storage import ObjectStorageInbox, moment_of, name_at
from flexsms.triggers import inbox as module
from flexsms.triggers.inbox import InboxTrigger

pytestmark = pytest.mark.anyio


@pytest.fixture
def connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`twilio_default` has an inbox."""

    def connection(conn_id: str = "twilio_default", **extra: Any) -> None:
        value = {
            "conn_type": "twilio",
            "login": "AC" + "0" * 32,
            "password": "secret",
            "extra": {"inbox_path": f"file://{tmp_path}/inbox", **extra},
        }
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(value))

    connection()
    return connection


@pytest.fixture
def inbox(tmp_path: Path) -> ObjectStorageInbox:
    return ObjectStorageInbox(f"file://{tmp_path}/inbox")


@pytest.fixture
def pause(monkeypatch: pytest.MonkeyPatch) -> float:
    """Time runs faster: a minute is a fifth of a second."""
    assert (module.PAUSE_S, module.REMIND_S) == (60, 600)
    monkeypatch.setattr(module, "PAUSE_S", 0.2)
    monkeypatch.setattr(module, "REMIND_S", 2)
    return 0.2


async def until(true: Callable[[], bool]) -> None:
    """Wait for it, however slow the machine is today."""
    async with asyncio.timeout(30):
        while not true():  # noqa: ASYNC110 - nobody tells us
            await asyncio.sleep(0.01)


class Watch:
    """What a trigger fires, as it comes."""

    def __init__(self, trigger: InboxTrigger) -> None:
        path, arguments = trigger.serialize()
        made: InboxTrigger = pkgutil.resolve_name(path)(**json.loads(json.dumps(arguments)))
        self.fired: list[tuple[float, dict[str, Any]]] = []
        self._task = asyncio.create_task(self._run(made.run()))

    async def _run(self, events: AsyncIterator[Any]) -> None:
        async for event in events:
            payload = json.loads(json.dumps(event.payload))
            self.fired.append((asyncio.get_running_loop().time(), payload))

    async def until(self, count: int) -> None:
        await until(lambda: len(self.fired) >= count or self._task.done())
        assert not self._task.done()

    async def __aenter__(self) -> Watch:
        return self

    async def __aexit__(self, *_: object) -> None:
        running = not self._task.done()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        assert running, "the trigger ended"


def quick(**arguments: Any) -> InboxTrigger:
    return InboxTrigger(poll_interval_s=0.01, **arguments)


def test_it_is_made_again_from_what_airflow_keeps(monkeypatch: pytest.MonkeyPatch) -> None:
    path, arguments = InboxTrigger().serialize()
    assert path == "flexsms.triggers.inbox.InboxTrigger"
    assert arguments == {"twilio_conn_id": "twilio_default", "poll_interval_s": 10}
    monkeypatch.setenv("AIRFLOW__FLEXSMS__TWILIO_CONN_ID", "other")
    assert InboxTrigger().twilio_conn_id == "other"
    assert InboxTrigger(twilio_conn_id="mine").twilio_conn_id == "mine"


async def test_it_fires_when_something_is_there(
    connection: Any, inbox: ObjectStorageInbox, pause: float
) -> None:
    async with Watch(quick()) as watch:
        await asyncio.sleep(0.1)
        assert watch.fired == []
        await inbox.put(b"[1]")
        await watch.until(1)
        assert watch.fired[0][1] == {"waiting": 1}


async def test_what_comes_within_a_minute_is_told_at_once(
    connection: Any, inbox: ObjectStorageInbox, pause: float
) -> None:
    async with Watch(quick()) as watch:
        for number in range(60):
            await inbox.put(b"[%d]" % number)
            await asyncio.sleep(0.01)
        await watch.until(3)
        moments = [moment for moment, _ in watch.fired]
        assert all(later - earlier >= pause for earlier, later in pairwise(moments))


async def test_a_post_that_shows_up_late_under_an_older_name_is_told_within_a_minute(
    connection: Any, inbox: ObjectStorageInbox, pause: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another api-server's clock is behind, or its disk is slow. The post before is still there, or read."""
    monkeypatch.setattr(module, "REMIND_S", 3600)
    newest = await inbox.put(b"[1]")
    moment = moment_of(newest)
    async with Watch(quick()) as watch:
        await watch.until(1)
        for count, is_read in enumerate((False, True), 1):
            if is_read:
                await inbox.done(newest)
            late = f"{name_at(moment - timedelta(seconds=count))}-late.json"
            (tmp_path / "inbox" / "new" / late).write_bytes(b"[1]")
            await watch.until(1 + count)
        await asyncio.sleep(3 * pause)
        assert len(watch.fired) == 3  # each of them once


async def test_what_is_left_over_is_told_again_but_not_every_minute(
    connection: Any, inbox: ObjectStorageInbox, pause: float
) -> None:
    await inbox.put(b"[1]")
    async with Watch(quick()) as watch:
        await watch.until(1)
        await asyncio.sleep(5 * pause)
        assert len(watch.fired) == 1
        await watch.until(2)
        assert watch.fired[1][0] - watch.fired[0][0] >= 2


async def test_what_was_read_is_not_told(
    connection: Any, inbox: ObjectStorageInbox, pause: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REMIND_S", 0)
    async with Watch(quick()) as watch:
        name = await inbox.put(b"[1]")
        await watch.until(1)
        await inbox.done(name)
        await asyncio.sleep(3 * pause)
        assert len(watch.fired) == 1


async def test_an_inbox_that_it_cannot_read_is_told(
    connection: Callable[..., None], pause: float, capsys: pytest.CaptureFixture[str]
) -> None:
    connection(inbox_path="s3://bucket/inbox")
    said = ""

    def is_told() -> bool:
        nonlocal said
        said += capsys.readouterr().out
        return "install its provider, for s3:// apache-airflow-providers-amazon[s3fs]" in said

    async with Watch(quick()):
        await until(is_told)


async def test_a_store_that_fails_or_hangs_is_told_and_no_secret(
    connection: Any, pause: float, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And one that hangs gets no more of the triggerer's threads than it has."""
    gate, asked = threading.Event(), []

    def hang(*_: object) -> list[str]:
        asked.append(1)
        if len(asked) == 1:
            raise ConnectionError("https://user:hunter2@store.example.com")
        gate.wait(120)
        return []

    monkeypatch.setattr(stores.Folder, "files", hang)
    monkeypatch.setattr("flexsms.sources.object_storage.WITHIN_S", 1)
    monkeypatch.setattr("flexsms.sources.object_storage.AT_ONCE", 2)
    monkeypatch.setattr(module, "PAUSE_S", 0.01)
    said = ""

    def is_told() -> bool:
        nonlocal said
        said += capsys.readouterr().out
        return "has not answered 2 calls" in said

    try:
        async with Watch(quick()):
            await until(is_told)
    finally:
        gate.set()
    assert len(asked) == 3
    assert "cannot be read (ConnectionError)" in said
    assert "has not answered within 1 s" in said
    assert "hunter2" not in said


@pytest.mark.parametrize("extra", [{"inbox_path": ""}, {"timeout_s": "soon"}, None])
async def test_without_an_inbox_it_is_quiet_and_cheap(
    extra: dict[str, Any] | None,
    connection: Callable[..., None],
    pause: float,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    looks = 0
    asettings = TwilioHook.asettings

    async def counted(hook: TwilioHook) -> Any:
        nonlocal looks
        looks += 1
        return await asettings(hook)

    monkeypatch.setattr(TwilioHook, "asettings", counted)
    if extra is None:
        monkeypatch.delenv("AIRFLOW_CONN_TWILIO_DEFAULT")
    else:
        connection(**extra)
    clock = asyncio.get_running_loop().time
    started = clock()
    async with Watch(quick()) as watch:
        await until(lambda: looks >= 3)
        assert watch.fired == []
    assert looks <= (clock() - started) / pause + 1
    assert "InboxTrigger" not in capsys.readouterr().out


async def test_an_inbox_that_comes_later_is_found(
    connection: Callable[..., None], inbox: ObjectStorageInbox, pause: float, tmp_path: Path
) -> None:
    await inbox.put(b"[1]")
    connection(inbox_path="")
    async with Watch(quick()) as watch:
        await asyncio.sleep(pause)
        connection()
        await watch.until(1)


async def test_a_store_that_fails_is_named_and_looked_at_again(
    connection: Any,
    inbox: ObjectStorageInbox,
    pause: float,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "new").write_text("a file where the folder should be")
    async with Watch(quick()) as watch:
        await until(lambda: "The inbox cannot be read" in capsys.readouterr().out)
        (tmp_path / "inbox" / "new").unlink()
        await inbox.put(b"[1]")
        await watch.until(1)
