"""One odd answer to any call of tracking is an error of the tree or none at all, and the next run makes up for it."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from flexsms.core.channel_state import fold
from flexsms.core.exceptions import FlexSmsError
from flexsms.twilio.account import Account
from flexsms.twilio.tracking.parked_states import ParkedStates
from flexsms.twilio.tracking.tracker import track
from tests.support.cleanup_scenarios import House
from tests.support.kept import Kept

pytestmark = pytest.mark.anyio

# What comes instead of the answer, once.
ODD: dict[str, dict[str, Any]] = {
    "a list": {"action": "answer", "body": "[]"},
    "nothing": {"action": "answer", "body": ""},
    "null": {"action": "answer", "body": "null"},
    "an empty object": {"action": "answer", "body": "{}"},
    "a page for people": {"action": "answer", "body": "<html>Please log in", "content_type": "text/html"},
    "another's answer": {"action": "answer", "body": '{"sid": "ET1", "data": {"v": 1}}', "applied": True},
    "half of it": {"action": "mangle", "cut_bytes": 60},
    "no revision": {"action": "mangle", "drop": ["revision"]},
    "no data": {"action": "mangle", "drop": ["data"]},
    "other data": {"action": "mangle", "put": {"data": [1]}},
    "no events": {"action": "mangle", "drop": ["events"]},
    "other events": {"action": "mangle", "put": {"events": [1, {}, None]}},
    "events without their data": {"action": "mangle", "put": {"events.0.event_data": 7}},
    "a 404 that is not true": {"action": "status", "status": 404, "code": 20404},
    "a 403": {"action": "status", "status": 403},
    "a 503": {"action": "status", "status": 503},
    "no answer, and it was done": {"action": "drop_after"},
    "no answer": {"action": "drop_before"},
}
CALLS = 12


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
async def test_one_odd_answer_is_made_up_for(
    house: House, account: Account, odd: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flexsms.twilio.client.http_client.ATTEMPTS", 1)
    house.conversation("+14155551001")
    house.control.customer("+14155551002", house.number, "Hello")
    told = fold([event async for page in account.taskrouter().read(None) for event in page.events])
    assert len(told) == 2
    beginning = house.control.state()
    hit = 0
    for number in range(CALLS):
        house.control.restore(beginning)
        kept, cursors = Kept(), [None]

        async def run(kept: Kept = kept, cursors: list[Any] = cursors) -> None:
            async def save(cursor: str) -> None:
                cursors.append(cursor)

            await track(
                account.taskrouter(),
                account.store,
                cursor=cursors[-1],
                save_cursor=save,
                at_once=1,
                parked=ParkedStates(kept),
            )

        house.control.fault(match={}, skip=number, times=1, **odd)
        with suppress(FlexSmsError):  # and nothing else
            await run()
        hit += house.control.faults()[0]["hits"]
        house.control.clear_faults()
        await run()
        for sid, state in told.items():
            stored = await account.store.load(sid)
            assert stored is not None
            assert stored.state == state, number
        assert kept.get() in (None, {})
    assert hit >= 10  # six lists of events, and two calls for each of two channels
