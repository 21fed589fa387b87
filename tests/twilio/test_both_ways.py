"""The main stories, with each thing that Twilio's pages leave open turned the other way.

The sandbox's switches (`flexsms/sandbox/state/settings/`) say what is open; the rest of the suite runs with the
defaults.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from flexsms.twilio.cleanup.outcomes import Outcome
from tests.support.cleanup_scenarios import ChatHouse, ConversationsHouse, House
from tests.support.send_scenarios import CUSTOMER, Desk

ANY: list[dict[str, Any]] = [
    {},
    {"page_size_out_of_bounds": "clamped"},
    {"page_without_token": "refused"},
    {"sync_missing": "object"},
    {"sync_missing": "generic"},
    {"sync_if_match": "quoted"},
    {"event_pages": False},
    {"event_order": "oldest"},
    {"event_pages": False, "event_order": "oldest"},
    {"task_kept_s": 0},
    {"task_pages": "unlinked"},
    {"task_pages": "refused"},
    {"task_list_attributes": False},
    {"task_channel_type": "none"},
    {"message_list_attributes": False},
    {"event_list_delay_s": 120, "event_list_jitter_s": 120},
    {"empty_message_code": 20001},
]
CHAT: list[dict[str, Any]] = [
    {"channel_reuse_opens_task": False},
    {"dead_session_captures": False},
    {"stamp_proxy_session": False},
    {"inactive_needs_webhook": True},
    {"session_by_name": False},
    {"relay_names_message": False},
    {"pair_taken_code": 80103, "reopen_taken_code": 80604, "pair_taken_names_session": True},
]
CONVERSATIONS: list[dict[str, Any]] = [
    {"inactive_holds_pair": False},
    {"message_reactivates": False},
    {"inactive_holds_pair": False, "message_reactivates": False},
    {"second_interaction": "refused"},
    {"second_interaction": "opened"},
    {"second_interaction": "refused", "closed_invite_code": 45008},
    {"interaction_conflict_fails": False},
    {"pair_refusal_names_conversation": False},
    {"closed_keeps_name": False},
    {"second_interaction": "refused", "refusal_names_channel": False},
    {"api_interaction_heeds_worker": False},
    {"one_address_per_number": False},
]


WAYS: list[tuple[type[House], dict[str, Any]]] = [
    *((ChatHouse, switches) for switches in (*ANY, *CHAT)),
    *((ConversationsHouse, switches) for switches in (*ANY, *CONVERSATIONS)),
]


def named(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}={switch}" for name, switch in value.items()) or "as they are"
    return str(value.stack)


both_ways = pytest.mark.parametrize(("house", "switches"), WAYS, indirect=["house"], ids=named)


def open_tasks(house: House) -> list[dict[str, Any]]:
    """The attributes of the tasks that are not over."""
    rows = house.control.state()["tables"]["tasks"]
    return [json.loads(row["attributes"]) for row in rows if row["status"] not in ("completed", "canceled")]


@both_ways
async def test_a_customer_from_the_first_text_to_the_one_after_a_cleanup(
    house: House, switches: dict[str, Any]
) -> None:
    house.control.settings(**switches)
    desk = Desk(house.stack, house.sandbox, house.clock)
    first = await desk.send("One", key="k1")
    desk.clock.advance(seconds=2)
    answered = desk.answers("An answer")
    assert (answered["channel_sid"], answered["task_sid"]) == (first.channel_sid, first.task_sid)
    house.control.agent("complete", channel_sid=first.channel_sid)
    desk.clock.advance(hours=1)
    await house.track()

    second = await desk.send("Two", key="k2")
    assert (second.channel_sid, second.reused_channel) == (first.channel_sid, True)
    assert (await desk.send("Two", key="k2")).duplicate
    desk.clock.advance(seconds=2)
    answered = desk.answers("Another answer")
    assert answered["channel_sid"] == first.channel_sid
    assert answered["task_sid"] not in (None, first.task_sid)
    house.control.agent("complete", channel_sid=first.channel_sid)
    assert open_tasks(house) == house.control.contested() == []

    report = await house.clean()
    assert report.outcomes == {first.channel_sid: Outcome.DEACTIVATED}
    fresh = desk.answers("After a cleanup")
    assert fresh["outcome"] == "started"
    assert fresh["channel_sid"] != first.channel_sid
    desk.clock.advance(seconds=2)
    third = await desk.send("Three", key="k3")
    assert (third.channel_sid, third.task_sid) == (fresh["channel_sid"], fresh["task_sid"])
    assert desk.texts() == ["One", "Two", "Three"]


@pytest.mark.parametrize("moment", ["before", "after"])
@both_ways
async def test_who_writes_while_a_channel_is_retired_is_heard(
    house: House, switches: dict[str, Any], moment: str
) -> None:
    """Whatever became of the channel: an agent has a task for the text, or one that names where the text is."""
    house.control.settings(**switches)
    sid = house.control.customer(CUSTOMER, house.number, "Hello")["channel_sid"]
    house.clock.advance(seconds=2)
    house.control.agent("complete", channel_sid=sid)
    due = await house.due()
    text = {"customer": {"from": CUSTOMER, "to": house.number, "body": "Wait!"}}
    house.fault(house.mark, **{moment: [text]})
    await house.retire(due)
    house.clock.advance(seconds=2)

    messages = house.control.state()["tables"]["messages"]
    (where,) = [one["parent"] for one in messages if one["body"] == "Wait!"]
    (task,) = open_tasks(house)
    assert where in json.dumps(task)
    arrived = house.control.customer(CUSTOMER, house.number, "Is anybody there?")
    assert arrived["task_sid"]
    assert len(open_tasks(house)) == 1
    assert await house.is_open(arrived["channel_sid"])
