"""flexsms_track, run by Airflow."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from flexsms.sandbox.client import SandboxProcess

from .conftest import Run, on_both_stacks


@on_both_stacks
def test_the_first_run_reads_everything_and_the_second_only_what_is_new(
    stack: str,
    run: Callable[..., Run],
    cursor: Callable[[], str | None],
    sandbox: SandboxProcess,
    writes: Callable[[], list[str]],
) -> None:
    sandbox.control.seed(channels=8, stack=stack)
    first = run("flexsms_track")
    assert first.state == "success"
    report = first.xcom("track")
    assert report["created"] == report["channels"] > 0
    assert report["api_calls"] > 0
    assert first.events() == [report]
    reached = cursor()
    assert reached == report["cursor"]
    assert datetime.now(UTC) - datetime.fromisoformat(str(reached)) < timedelta(minutes=1)

    sandbox.control.clear_journal()
    second = run("flexsms_track", lookback_minutes=0)
    assert second.xcom("track")["events"] == 0
    assert writes() == []
    assert str(cursor()) > str(reached)


def test_a_new_event_updates_its_channel(run: Callable[..., Run], sandbox: SandboxProcess) -> None:
    sandbox.control.seed(story=True)
    run("flexsms_track")
    sandbox.control.agent("complete", channel_sid=sandbox.control.story()["ben"]["channel_sid"])
    report = run("flexsms_track").xcom("track")
    assert (report["updated"], report["created"]) == (1, 0)


def test_the_cursor_stays_when_a_channel_cannot_be_written(
    run: Callable[..., Run],
    cursor: Callable[[], str | None],
    sandbox: SandboxProcess,
    tries: Callable[[int], None],
) -> None:
    tries(1)
    sandbox.control.seed(channels=3)
    sandbox.control.fault(match={"method": "POST", "host": "sync.twilio.com"}, action="status", status=403)
    assert run("flexsms_track").state == "failed"
    assert cursor() is None


@pytest.mark.parametrize("source", ["inbox", "http", "kinesis"])
def test_a_source_that_does_not_exist_yet_is_named(
    source: str, run: Callable[..., Run], capsys: pytest.CaptureFixture[str]
) -> None:
    tracked = run("flexsms_track", source=source)
    assert tracked.tries("track") == [1]
    assert f"source: '{source}' does not exist yet; choose 'taskrouter'." in capsys.readouterr().out
