"""What contact centres really send: transfers, surveys, callbacks, two workspaces, and collectors that spoil events.

Each story is told in CloudEvents as Event Streams posts them. In every order, and in one run or many, it ends the same.
"""

from __future__ import annotations

import json
import random
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from flexsms.core.channel_state import ChannelState
from flexsms.core.cloud_events import Home
from flexsms.core.event_reader import read_envelopes
from flexsms.core.event_source import EventPage
from flexsms.core.exceptions import InvalidInput
from flexsms.core.retention import Verdict, judge
from flexsms.core.task_events import to_ms
from flexsms.twilio.account import Account
from flexsms.twilio.cleanup.tracked_scan import TrackedScan
from flexsms.twilio.tracking.parked_states import ParkedStates
from flexsms.twilio.tracking.task_ends import TaskEnds
from flexsms.twilio.tracking.tracker import TrackReport, track
from tests.support.kept import Kept

if TYPE_CHECKING:
    from .conftest import Clock

pytestmark = pytest.mark.anyio

HOME = Home("AC" + "1a" * 16, "WS" + "1b" * 16)
ABROAD = Home("AC" + "2a" * 16, "WS" + "2b" * 16)
WINDOW_MS = 60_000
Event = dict[str, Any]
_numbers = count(1)


def sid(prefix: str) -> str:
    """One that nothing else has."""
    return f"{prefix}{next(_numbers):06x}{random.Random(prefix).getrandbits(104):026x}"


class Story:
    """Events of tasks, at minutes counted from three days ago.

    :param began: when minute 0 was
    """

    def __init__(self, began: datetime, home: Home = HOME) -> None:
        self.began = began
        self.home = home
        self.events: list[Event] = []

    def at_ms(self, minute: float) -> int:
        return to_ms("minute", self.began + timedelta(minutes=minute))

    def tells(
        self, kind: str, task: str, minute: float, attributes: object, *, channel: str = "sms", **payload: Any
    ) -> Event:
        moment = (self.began + timedelta(minutes=minute)).isoformat()
        told = {
            "specversion": "1.0",
            "type": f"com.twilio.taskrouter.task.{kind}",
            "source": f"/v1/Workspaces/{self.home.workspace_sid}/Tasks/{task}",
            "id": sid("EV"),
            "time": moment,
            "data": {
                "timestamp": moment,
                "payload": {
                    "account_sid": self.home.account_sid,
                    "workspace_sid": self.home.workspace_sid,
                    "task_sid": task,
                    "task_attributes": json.dumps(attributes) if isinstance(attributes, dict) else attributes,
                    "task_channel_unique_name": channel,
                    **payload,
                },
            },
        }
        self.events.append(told)
        return told


class Feed:
    """A source of CloudEvents."""

    name, scope = "feed", "here"

    def __init__(self, events: Sequence[Any], now: datetime, home: Home | None = HOME) -> None:
        self._events, self._now, self._home = events, now, home

    async def read(self, cursor: str | None) -> AsyncGenerator[EventPage, None]:
        yield read_envelopes(self._events, now=self._now, home=self._home, cursor="1")


class Centre:
    """Tracks what it is fed, each call in a run of its own."""

    def __init__(self, account: Account, now: Clock) -> None:
        self.account, self.now = account, now
        self.kept = Kept()
        self.cursor: str | None = None

    async def _save(self, cursor: str) -> None:
        self.cursor = cursor

    async def run(self, *events: Any) -> TrackReport:
        return await track(
            Feed(events, self.now()),
            self.account.store,
            cursor=None,
            save_cursor=self._save,
            at_once=4,
            ends=TaskEnds(self.kept),
        )

    async def state(self, channel: str) -> ChannelState:
        stored = await self.account.store.load(channel)
        assert stored is not None
        return stored.state


@pytest.fixture
async def centre(account: Account, clock: Clock) -> Centre:
    return Centre(account, clock)


@pytest.fixture
def story(clock: Clock) -> Story:
    return Story(clock() - timedelta(days=3))


Order = Callable[[list[Event]], list[list[Event]]]


def shuffled(seed: int) -> Order:
    return lambda events: [[one] for one in random.Random(seed).sample(events, len(events))]


ORDERS = [
    pytest.param(lambda events: [events], id="one run"),
    pytest.param(lambda events: [[one] for one in events], id="a run for each"),
    pytest.param(lambda events: [[one] for one in reversed(events)], id="backwards"),
    pytest.param(lambda events: [events[1::2], events[::2]], id="every other one first"),
    *(pytest.param(shuffled(seed), id=f"any order {seed}") for seed in range(4)),
]


def without(attributes: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if name not in names}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    "taken_off",
    [
        pytest.param(lambda attributes: {**attributes, "channelSid": None}, id="null"),
        pytest.param(lambda attributes: without(attributes, "channelSid"), id="deleted"),
        pytest.param(lambda attributes: {**attributes, "channelSid": "[REDACTED]"}, id="redacted"),
        pytest.param(lambda _: None, id="attributes gone"),
        pytest.param(lambda _: "not JSON", id="unreadable"),
    ],
)
async def test_a_transfer_takes_the_channel_off_the_first_task_before_it_completes_it(
    centre: Centre, story: Story, taken_off: Callable[[dict[str, Any]], object], order: Order
) -> None:
    channel, first, second = sid("CH"), sid("WT"), sid("WT")
    attributes = {"channelSid": channel, "channelType": "sms", "proxySession": sid("KC")}
    story.tells("created", first, 0, attributes)
    story.tells("created", second, 5, {**attributes, "chatTransferData": {"originalTaskSid": first}})
    story.tells("wrapup", first, 5.1, taken_off(attributes))
    story.tells("completed", first, 5.2, taken_off(attributes))
    story.tells("completed", second, 30, attributes)
    for events in order(story.events):
        with suppress(InvalidInput):  # a run that met nothing but redacted events says so
            await centre.run(*events)
    state = await centre.state(channel)
    assert state.open_tasks == frozenset()
    assert state.last_ended_ms == story.at_ms(30)
    for now_ms, verdict in ((WINDOW_MS - 1, Verdict.TOO_RECENT), (WINDOW_MS, Verdict.DUE)):
        assert judge(state, now_ms=story.at_ms(30) + now_ms, window_ms=WINDOW_MS) is verdict


async def test_the_end_of_the_only_task_counts_though_it_names_no_channel(
    centre: Centre, story: Story
) -> None:
    """Two Sync calls for the channel, in the run that reads it."""
    channel, task = sid("CH"), sid("WT")
    await centre.run(story.tells("created", task, 0, {"channelSid": channel}))
    before = centre.account.transport.total_calls
    report = await centre.run(story.tells("canceled", task, 9, {"channelSid": None}))
    assert centre.account.transport.total_calls - before == 2
    assert (report.events, report.ignored, report.placed, report.updated) == (0, 1, 1, 1)
    assert (await centre.state(channel)).last_ended_ms == story.at_ms(9)


async def test_an_end_that_came_first_meets_its_channel_when_all_documents_are_read(
    centre: Centre, story: Story
) -> None:
    """Nothing that Airflow remembered of the task is left but the end itself."""
    channel, task = sid("CH"), sid("WT")
    await centre.run(story.tells("created", task, 0, {"channelSid": channel}))
    centre.kept = Kept()
    with pytest.raises(InvalidInput, match="none could be understood"):
        await centre.run(story.tells("completed", task, 9, None))
    assert (await centre.state(channel)).open_tasks == {task}
    scanned = stored = None
    for write in (False, True):
        states = TrackedScan(
            Feed([], centre.now()),
            centre.account.store,
            parked=ParkedStates(None),
            ends=TaskEnds(centre.kept),
            at_once=4,
            write=write,
        )
        pages = [page async for page in states.pages()]
        (scanned,) = [one for page in pages for one in page if getattr(one, "state", None)]
        assert scanned.state.last_ended_ms == story.at_ms(9)  # type: ignore[union-attr]
        stored = await centre.account.store.load(channel)
        assert stored is not None
        assert bool(stored.state.open_tasks) is not write
    assert stored == scanned


@pytest.mark.parametrize("order", ORDERS)
async def test_a_channel_is_in_use_until_its_survey_is_over(
    centre: Centre, story: Story, order: Order
) -> None:
    """A bot's task, the contact, and a survey that is made after wrap-up; both SIDs are there, and are the same."""
    channel, bot, contact, survey = sid("CH"), sid("WT"), sid("WT"), sid("WT")
    attributes = {"channelSid": channel, "conversationSid": channel, "channelType": "sms"}
    story.tells("created", bot, 0, {**attributes, "isChatCaptureControl": True}, channel="survey")
    story.tells("created", contact, 1, attributes)
    story.tells("canceled", bot, 2, attributes, channel="survey")
    story.tells("wrapup", contact, 20, attributes)
    story.tells("created", survey, 20.1, {**attributes, "isSurveyTask": True}, channel="survey")
    story.tells("completed", contact, 21, attributes)
    for events in order(story.events):
        await centre.run(*events)
    assert (await centre.state(channel)).open_tasks == {survey}
    await centre.run(story.tells("canceled", survey, 50, attributes, channel="survey"))
    state = await centre.state(channel)
    assert (state.open_tasks, state.last_ended_ms) == (frozenset(), story.at_ms(50))


async def test_a_task_that_is_stuck_in_wrap_up_keeps_its_channel(centre: Centre, story: Story) -> None:
    channel, task = sid("CH"), sid("WT")
    attributes = {"conversationSid": channel, "channelType": "sms"}
    await centre.run(story.tells("created", task, 0, attributes), story.tells("wrapup", task, 10, attributes))
    five_days = story.at_ms(5 * 1440)
    assert judge(await centre.state(channel), now_ms=five_days, window_ms=WINDOW_MS) is Verdict.OPEN_TASK
    await centre.run(story.tells("canceled", task, 2 * 1440, attributes))
    assert judge(await centre.state(channel), now_ms=five_days, window_ms=WINDOW_MS) is Verdict.DUE


async def test_a_callback_that_copies_the_conversation_of_its_chat_keeps_the_channel_in_use(
    centre: Centre, story: Story
) -> None:
    """The safe side: as long as somebody is to call back, the conversation is left to look at."""
    channel, chat, callback = sid("CH"), sid("WT"), sid("WT")
    attributes = {"conversationSid": channel, "channelType": "sms"}
    copied = {**attributes, "taskType": "callback", "to": "+14155550142"}
    await centre.run(
        story.tells("created", chat, 0, attributes),
        story.tells("completed", chat, 9, attributes),
        story.tells("created", callback, 9, copied, channel="voice"),
    )
    assert (await centre.state(channel)).open_tasks == {callback}
    await centre.run(story.tells("completed", callback, 99, copied, channel="voice"))
    assert (await centre.state(channel)).last_ended_ms == story.at_ms(99)


async def test_a_task_of_the_plain_api_counts_without_an_interaction(centre: Centre, story: Story) -> None:
    channel, task = sid("CH"), sid("WT")
    await centre.run(
        story.tells("created", task, 0, {"conversationSid": channel}, channel="default"),
        story.tells("completed", task, 9, {"conversationSid": channel}, channel="default"),
    )
    state = await centre.state(channel)
    assert state.last_ended_ms == story.at_ms(9)
    assert state.links.keys() == {"workspace"}


async def test_events_of_another_workspace_or_account_are_left_out_and_named_once(
    centre: Centre, story: Story, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    ours, theirs = sid("CH"), sid("CH")
    abroad = Story(story.began, ABROAD)
    next_door = Story(story.began, Home(HOME.account_sid, ABROAD.workspace_sid))
    report = await centre.run(
        story.tells("completed", sid("WT"), 0, {"channelSid": ours}),
        abroad.tells("completed", sid("WT"), 0, {"channelSid": theirs}),
        next_door.tells("created", sid("WT"), 10, {"channelSid": theirs}),
        next_door.tells("completed", sid("WT"), 10, {}),
    )
    assert (report.events, report.ignored, report.channels) == (1, 3, 1)
    assert report.to_json()["ignored_by"] == {"foreign": 3}
    assert report.to_json()["foreign"] == {ABROAD.workspace_sid: 3}
    assert await centre.account.store.load(theirs) is None
    told = [line for line in caplog.messages if ABROAD.workspace_sid in line]
    assert told == [
        f"3 events of workspace {ABROAD.workspace_sid} are left out; the connection is for another one."
    ]


async def test_what_is_ignored_is_told_by_reason(centre: Centre, story: Story) -> None:
    channel = sid("CH")
    report = await centre.run(
        story.tells("created", sid("WT"), 0, {"channelSid": channel}),
        story.tells("completed", sid("WT"), 0, {"call_sid": sid("CA")}, channel="voice"),
        story.tells("created", sid("WT"), 0, {"direction": "inbound"}, channel="voice"),
        story.tells("completed", sid("WT"), 0, {"taskType": "invoice"}, channel="default"),
        story.tells("completed", sid("WT"), 0, {"channelSid": "[REDACTED]"}),
        story.tells("completed", sid("WT"), 0, "{"),
        {**story.events[0], "type": "com.twilio.taskrouter.reservation.created"},
        {"EventType": "task.completed", "TaskAttributes": {"channelSid": channel}},
    )
    assert (report.events, report.ignored, report.rejected) == (1, 7, 0)
    assert report.ignored_by == {
        "voice": 2,
        "no channel": 1,
        "redacted": 1,
        "unreadable attributes": 1,
        "other type": 1,
        "no type": 1,
    }


def redacted(story: Story) -> list[Any]:
    attributes = {"channelSid": "[REDACTED]", "channelType": "sms", "from": "[REDACTED]"}
    return [story.tells(kind, sid("WT"), 0, attributes) for kind in ("created", "completed", "completed")]


def callbacks(story: Story) -> list[Any]:
    """The form that a workspace posts to its EventCallbackUrl, handed on as JSON."""
    return [{"EventType": "task.completed", "TaskSid": sid("WT"), "TimestampMs": story.at_ms(0)}] * 3


@pytest.mark.parametrize(
    ("make", "why"), [(redacted, "3 redacted"), (callbacks, "3 no type")], ids=["redacted", "callback forms"]
)
async def test_events_of_which_none_can_be_understood_are_no_success(
    centre: Centre, story: Story, make: Callable[[Story], list[Any]], why: str
) -> None:
    with pytest.raises(InvalidInput, match=rf"3 events of which none could be understood \({why}\)"):
        await centre.run(*make(story))
    assert centre.cursor == "1"  # they are read: nothing would come of reading them again
    good = story.tells("created", sid("WT"), 0, {"channelSid": sid("CH")})
    assert (await centre.run(*make(story), good)).ignored == 3


async def test_twilios_own_sample_is_left_out_without_an_error(centre: Centre) -> None:
    """It is dated in one place and typed in another as something else, and its SIDs are a digit short."""
    sample = {
        "specversion": "1.0",
        "type": "com.twilio.taskrouter.task.canceled",
        "source": "AB" + "0" * 23 + "1",
        "id": "NO" + "0" * 23 + "1",
        "datacontenttype": "2025-10-08T07:17:02.363Z",
        "data": {
            "name": "ReservationCreated",
            "account_sid": "AC" + "0" * 30 + "1",
            "timestamp": "2025-01-01T00:00:00.000Z",
            "payload": {
                "eventtype": "reservation.created",
                "workspace_sid": "WS" + "0" * 30 + "1",
                "task_sid": "WT" + "0" * 31,
                "task_attributes": "{}",
            },
        },
    }
    report = await centre.run(sample)
    assert (report.events, report.rejected, report.ignored_by) == (0, 0, {"no channel": 1})
    assert TaskEnds(centre.kept).waiting == {}


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        pytest.param(
            lambda payload: payload, "data.payload: is not a JSON object", id="unwrapped a level too much"
        ),
        pytest.param(
            lambda payload: {"timestamp": 1_795_020_127_105, "payload": payload},
            "data.timestamp: is a number; expected ISO 8601",
            id="a number for a time",
        ),
    ],
)
async def test_what_a_collector_has_spoilt_is_named(
    centre: Centre, story: Story, data: Callable[[dict[str, Any]], Any], sentence: str
) -> None:
    event = story.tells("completed", sid("WT"), 0, {"channelSid": sid("CH")})
    report = await centre.run({**event, "data": data(event["data"]["payload"])})
    assert report.rejected == 1
    assert sentence in report.rejects[0]


async def test_payload_and_attributes_may_be_texts_or_objects(centre: Centre, story: Story) -> None:
    channels = [sid("CH"), sid("CH")]
    as_texts = story.tells("completed", sid("WT"), 0, {"channelSid": channels[0]})
    as_texts["data"] = json.dumps({**as_texts["data"], "payload": json.dumps(as_texts["data"]["payload"])})
    as_objects = story.tells("completed", sid("WT"), 1, {"channelSid": channels[1]})
    as_objects["data"]["payload"]["task_attributes"] = {"channelSid": channels[1]}
    assert (await centre.run(as_texts, as_objects)).created == 2
    for minute, channel in enumerate(channels):
        assert (await centre.state(channel)).last_ended_ms == story.at_ms(minute)
