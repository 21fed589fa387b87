"""What every waiting trigger does: look, count failures, sleep, give up in time."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

from flexsms.core.exceptions import (
    FlexSmsError,
    NotAuthorized,
    NotFound,
    PermanentError,
    RateLimited,
    ServiceUnavailable,
)
from flexsms.triggers.polling import MOST_FAILURES, PollingTrigger, check
from flexsms.twilio.account import Account

from .conftest import Connect, event_of, restarted

pytestmark = pytest.mark.anyio

FOUND = {"status": "found"}
NOTHING: None = None
# What the looks of a test come to, one after the other; the last one stands for all that follow.
LOOKS: list[Any] = []


class Scripted(PollingTrigger):
    """Sees what the test says it sees."""

    wanted: ClassVar[tuple[str, ...]] = ("name",)

    def __init__(self, *, name: str = "it", **polling: Any) -> None:
        super().__init__(**{"poll_interval_s": 0.01, "timeout_s": 5, **polling})
        self.name = name

    async def poll(self, account: Account) -> dict[str, Any] | None:
        seen = LOOKS.pop(0) if len(LOOKS) > 1 else LOOKS[0]
        if isinstance(seen, Exception):
            raise seen
        found: dict[str, Any] | None = seen
        return found

    def so_far(self) -> dict[str, Any]:
        return {"name": self.name}


def sees(*looks: Any) -> None:
    LOOKS[:] = looks


def fails(times: int) -> list[FlexSmsError]:
    return [ServiceUnavailable("Nobody answers.")] * times


def test_it_is_made_again_from_what_airflow_keeps() -> None:
    path, arguments = Scripted(name="that", twilio_conn_id="mine", timeout_s=60).serialize()
    assert path == f"{Scripted.__module__}.Scripted"
    assert arguments.pop("deadline") == pytest.approx(time.time() + 60, abs=5)
    assert arguments == {"name": "that", "twilio_conn_id": "mine", "poll_interval_s": 0.01}


def test_a_restart_keeps_the_deadline() -> None:
    trigger = Scripted(timeout_s=60)
    assert restarted(restarted(trigger)).serialize() == trigger.serialize()


async def test_it_looks_until_there_is_something(connection: Connect) -> None:
    sees(NOTHING, NOTHING, FOUND)
    assert await event_of(Scripted()) == FOUND


async def test_it_gives_up_at_the_deadline_and_tells_how_far_it_came(connection: Connect) -> None:
    sees(NOTHING)
    began = time.monotonic()
    assert await event_of(Scripted(poll_interval_s=30, timeout_s=0.1)) == {"status": "timeout", "name": "it"}
    assert time.monotonic() - began < 10


async def test_after_the_deadline_it_still_looks_once(connection: Connect) -> None:
    sees(FOUND)
    assert await event_of(Scripted(timeout_s=-60)) == FOUND


@pytest.mark.parametrize("seen", [NOTHING, RateLimited("Too many.")], ids=["nothing", "failure"])
async def test_it_sleeps_between_looks_whatever_it_saw(connection: Connect, seen: Any) -> None:
    sees(seen, seen, FOUND)
    began = time.monotonic()
    await event_of(Scripted(poll_interval_s=0.1))
    assert time.monotonic() - began >= 0.2


async def test_failures_in_a_row_are_told(connection: Connect) -> None:
    sees(*fails(MOST_FAILURES), FOUND)
    event = await event_of(Scripted())
    assert event == {"status": "error", "message": "Nobody answers.", "retryable": True}
    assert [FOUND] == LOOKS


async def test_a_healthy_look_forgives(connection: Connect) -> None:
    some = fails(MOST_FAILURES - 1)
    sees(*some, NOTHING, *some, NOTHING, FOUND)
    assert await event_of(Scripted()) == FOUND


async def test_failures_do_not_outlast_the_deadline(connection: Connect) -> None:
    sees(*fails(2))
    assert (await event_of(Scripted(poll_interval_s=1, timeout_s=0.05)))["status"] == "timeout"


async def test_what_another_look_cannot_heal_is_told_at_once(connection: Connect) -> None:
    sees(NotAuthorized("You may not."), FOUND)
    assert await event_of(Scripted()) == {"status": "error", "message": "You may not.", "retryable": False}


async def test_what_is_gone_is_not_waited_for_to_the_end(connection: Connect) -> None:
    sees(NotFound("It is gone."))
    event = await event_of(Scripted(timeout_s=3600))
    assert event == {"status": "error", "message": "It is gone.", "retryable": False}


async def test_what_does_not_show_yet_is_waited_for(connection: Connect) -> None:
    sees(*[NotFound("It is not there.")] * (MOST_FAILURES - 1), FOUND)
    assert await event_of(Scripted()) == FOUND


async def test_a_look_that_fails_oddly_is_one_failed_look(connection: Connect) -> None:
    sees(KeyError("status"), FOUND)
    assert await event_of(Scripted()) == FOUND


async def test_a_defect_is_not_hidden(connection: Connect) -> None:
    sees(*[KeyError("status")] * MOST_FAILURES)
    event = await event_of(Scripted())
    assert (event["status"], event["retryable"]) == ("error", True)
    assert "KeyError in test_polling.py, line" in event["message"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"conn_id": "nowhere"}, "no connection 'nowhere'"),
        ({"password": ""}, "Connection field password: is empty"),
    ],
)
async def test_a_bad_connection_is_named(connection: Connect, changes: dict[str, Any], says: str) -> None:
    sees(FOUND)
    trigger = Scripted(twilio_conn_id=changes.pop("conn_id", "twilio_default"))
    connection(**changes)
    event = await event_of(trigger)
    assert (event["status"], event["retryable"]) == ("error", False)
    assert says in event["message"]


@pytest.mark.parametrize(("retryable", "error"), [(True, ServiceUnavailable), (False, PermanentError)])
def test_an_error_is_raised_again_where_the_task_goes_on(retryable: bool, error: type[Exception]) -> None:
    with pytest.raises(error, match="Nobody answers"):
        check({"status": "error", "message": "Nobody answers.", "retryable": retryable})


@pytest.mark.parametrize("event", [FOUND, {"status": "timeout"}])
def test_everything_else_passes(event: Mapping[str, Any]) -> None:
    assert check(event) == event
