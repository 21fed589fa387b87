"""Setting up an account: as often as one likes, killed wherever one likes, always with the same end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from flexsms.core.exceptions import FlexSmsError, InvalidInput, MissingSetting, OutcomeUnknown
from flexsms.core.setup_report import EVENT_TYPES, STREAM_NAME, RowState
from flexsms.core.stack_name import StackName
from flexsms.sandbox.client import SandboxProcess
from flexsms.twilio.account import connect
from flexsms.twilio.client.settings import TwilioSettings
from flexsms.twilio.setup.event_streams import Patience, StreamSetup
from flexsms.twilio.setup.run import SetupReport, Wishes, set_up

NUMBER = "+14155550177"
URL = "https://one.example.com/flexsms/events"
OTHER_URL = "https://two.example.com/flexsms/events"
ARN = "arn:aws:kinesis:us-east-1:111111111111:stream/flexsms"
KINESIS = {"arn": ARN, "role_arn": "arn:aws:iam::111111111111:role/twilio", "external_id": "4711"}
TYPES = dict(EVENT_TYPES)
KINDS = list(EVENT_TYPES)
STACKS = list(StackName)
WEBHOOK: Any = "webhook"


@dataclass
class House:
    """An account to set up, and what is in it."""

    sandbox: SandboxProcess
    settings: TwilioSettings

    def on(self, stack: StackName, **extra: Any) -> House:
        return replace(self, settings=self.settings.changed(stack=str(stack), **extra))

    async def set_up(self, **wishes: Any) -> SetupReport:
        patience = Patience(active=timedelta(seconds=1), drain=timedelta())
        async with connect(self.settings) as account:
            given = {"number": NUMBER, "events_url": URL, **wishes}
            return await set_up(account, Wishes(**given), patience=patience)

    def rows(self, name: str) -> list[dict[str, Any]]:
        return list(self.sandbox.control.state()["tables"][name])

    def sinks(self) -> list[tuple[str, str, str]]:
        """Description, address and status of every sink."""
        found = []
        for row in self.rows("sinks"):
            place = row["configuration"].get("destination") or row["configuration"].get("arn")
            found.append((row["description"], place, row["status"]))
        return sorted(found)

    def picture(self) -> Any:
        """Everything that set-up makes, without what differs from one making to the next."""
        places = {row["sid"]: row["configuration"] for row in self.rows("sinks")}
        return {
            "sinks": sorted(map(repr, places.values())),
            "subscriptions": sorted(
                (repr(places[row["sink_sid"]]), row["description"], sorted(row["types"].items()))
                for row in self.rows("subscriptions")
            ),
            "sync": sorted(row["name"] for row in self.rows("services") if row["parent"] == "sync"),
            "flows": sorted(map(repr, map(_bare, self.rows("flows")))),
            "addresses": sorted(map(repr, map(_bare, self.rows("addresses")))),
        }

    def delivers(self) -> bool:
        """Whether an active sink of ours has a subscription with all types."""
        active = [row["sid"] for row in self.rows("sinks") if row["status"] == "active"]
        return any(row["sink_sid"] in active and row["types"] == TYPES for row in self.rows("subscriptions"))

    def written(self) -> list[str]:
        """The requests that change something, since the journal was last emptied."""
        return [
            f"{entry['method']} {entry['host']}{entry['path']}"
            for entry in self.sandbox.control.journal()
            if entry["method"] != "GET"
        ]

    def cut_off(self, calls: int, action: str) -> None:
        """After so many calls one more has `action`, and nothing gets through any more: as if we had been killed."""
        self.sandbox.control.fault(match={}, skip=calls, times=1, action=action)
        self.sandbox.control.fault(match={}, skip=calls, action="drop_before")


def _bare(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in ("sid", "seq", "created", "updated")}


@pytest.fixture
def house(sandbox: SandboxProcess, settings: TwilioSettings) -> House:
    studio = sandbox.settings["studio_flow_sid"]
    return House(sandbox, settings.changed(sync_service_sid="", studio_flow_sid=studio))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No second attempt: who was killed makes none."""
    monkeypatch.setattr("flexsms.twilio.client.http_client.ATTEMPTS", 1)


def states(report: SetupReport) -> list[tuple[str, str]]:
    return [(row.what, str(row.state)) for row in report.rows]


@pytest.mark.parametrize(
    ("stack", "of_number"),
    [
        ("chat", ["Flex Flow, studio", "Flex Flow, task"]),
        ("conversations", ["Address configuration"]),
    ],
)
async def test_an_empty_account_gets_everything(stack: str, of_number: list[str], house: House) -> None:
    report = await house.on(StackName(stack)).set_up()
    assert states(report) == [(what, "made") for what in ("Sync service", "Sink", "Subscription", *of_number)]
    assert house.sinks() == [(STREAM_NAME, URL, "active")]
    [subscription] = house.rows("subscriptions")
    assert subscription["types"] == TYPES
    assert report.extra["sync_service_sid"] == house.rows("services")[-1]["sid"]
    assert report.extra["events_url"] == URL
    assert house.settings.password not in repr(report)
    assert NUMBER not in repr(report)


async def test_the_flex_flows_are_what_the_wishes_say(house: House) -> None:
    await house.on(StackName.CHAT).set_up(janitor=False)
    flows = [row for row in house.rows("flows") if row["contact_identity"] == NUMBER]
    assert [(row["integration_type"], row["enabled"]) for row in flows] == [("studio", True), ("task", False)]
    assert [(row["long_lived"], row["janitor_enabled"]) for row in flows] == [(True, False)] * 2
    assert flows[0]["integration"]["flow_sid"] == house.settings.studio_flow_sid
    assert flows[1]["integration"]["workflow_sid"] == house.settings.workflow_sid


async def test_the_address_configuration_runs_studio(house: House) -> None:
    await house.on(StackName.CONVERSATIONS).set_up()
    [row] = [row for row in house.rows("addresses") if row["address"] == NUMBER]
    assert (row["kind"], row["friendly_name"]) == ("sms", "flexsms …0177")
    assert row["auto_creation"]["enabled"]
    assert row["auto_creation"]["type"] == "studio"
    assert row["auto_creation"]["studio_flow_sid"] == house.settings.studio_flow_sid


@pytest.mark.parametrize("stack", STACKS)
async def test_twice_changes_nothing(stack: StackName, house: House) -> None:
    on = house.on(stack)
    first = await on.set_up()
    before = house.sandbox.control.state()["tables"]
    house.sandbox.control.clear_journal()
    second = await on.set_up()
    assert {state for _, state in states(second)} == {"exists"}
    assert [row.sid for row in second.rows] == [row.sid for row in first.rows]
    assert second.extra == first.extra
    assert house.written() == []
    assert house.sandbox.control.state()["tables"] == before


@pytest.mark.parametrize("stack", STACKS)
async def test_a_dry_run_changes_nothing_and_says_what_would_be_done(stack: StackName, house: House) -> None:
    on = house.on(stack)
    dry = await on.set_up(dry_run=True)
    assert house.written() == []
    assert "sync_service_sid" not in dry.extra
    real = await on.set_up()
    assert states(dry) == [(what, f"would be {state}") for what, state in states(real)]


async def test_a_dry_run_over_a_changed_url(house: House) -> None:
    await house.set_up(number="")
    house.sandbox.control.clear_journal()
    dry = await house.set_up(number="", events_url=OTHER_URL, dry_run=True)
    assert house.written() == []
    assert states(dry) == [
        ("Sync service", "exists"),
        ("Sink", "would be made"),
        ("Subscription", "would be made"),
        ("Subscription", "would be removed"),
        ("Sink", "would be removed"),
        ("Number", "skipped"),
    ]


# Killed


async def nothing() -> None:
    """What is there before: nothing of ours."""


async def kill_everywhere(
    house: House, action: str, before: Callable[[], Awaitable[object]], **wishes: Any
) -> list[bool]:
    """Kill after every number of calls and run again, until nothing is left to kill.

    :return: for every kill, whether events were delivered right after it
    """
    control = house.sandbox.control
    delivered: list[bool] = []
    control.reset()
    await before()
    await house.set_up(**wishes)
    undisturbed = house.picture()
    while True:
        control.reset()
        await before()
        house.cut_off(len(delivered), action)
        try:
            await house.set_up(**wishes)
        except FlexSmsError:
            delivered.append(house.delivers())
        else:
            return delivered
        control.clear_faults()
        await house.set_up(**wishes)
        assert house.picture() == undisturbed, f"killed after {len(delivered) - 1} calls"


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("action", ["drop_before", "drop_after"])
@pytest.mark.parametrize("stack", STACKS)
async def test_killed_anywhere_and_run_again_it_completes_without_duplicates(
    stack: StackName, action: str, house: House
) -> None:
    delivered = await kill_everywhere(house.on(stack), action, nothing)
    assert len(delivered) >= 8
    assert delivered == sorted(delivered)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("action", ["drop_before", "drop_after"])
async def test_killed_anywhere_while_the_url_changes_events_are_always_delivered(
    action: str, house: House
) -> None:
    async def old() -> None:
        await house.set_up(number="")

    delivered = await kill_everywhere(house, action, old, number="", events_url=OTHER_URL)
    assert len(delivered) >= 8
    assert all(delivered)
    assert house.sinks() == [(STREAM_NAME, OTHER_URL, "active")]
    assert len(house.rows("subscriptions")) == 1


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("action", ["drop_after", "delay", "drop_before"])
async def test_any_lost_answer_is_looked_up(stack: StackName, action: str, house: House) -> None:
    on, control = house.on(stack, timeout_s=0.2), house.sandbox.control
    await on.set_up()
    undisturbed, makings = house.picture(), [line for line in house.written() if line.startswith("POST")]
    assert len(makings) >= 4
    for number in range(len(makings)):
        control.reset()
        control.fault(match={"method": "POST"}, skip=number, times=1, action=action, delay_ms=300)
        if action != "drop_before":  # it was applied, or is a little later, so it is found
            await on.set_up()
        else:
            with pytest.raises(OutcomeUnknown):
                await on.set_up()
            await on.set_up()
        assert house.picture() == undisturbed
        assert sum(line.startswith("POST") for line in house.written()) == len(makings) + (
            action == "drop_before"
        )


# Sinks


async def test_a_changed_url_makes_the_new_sink_before_the_old_one_goes(house: House) -> None:
    await house.set_up(number="")
    [old] = house.rows("sinks")
    house.sandbox.control.clear_journal()
    report = await house.set_up(number="", events_url=OTHER_URL)
    assert house.sinks() == [(STREAM_NAME, OTHER_URL, "active")]
    kinds = [line.rpartition("/v1/")[2].partition("/")[0] for line in house.written()]
    assert [line.split()[0] for line in house.written()] == ["POST", "POST", "DELETE", "DELETE"]
    assert kinds == ["Sinks", "Subscriptions", "Subscriptions", "Sinks"]
    assert [row.sid for row in report.rows if row.state is RowState.REMOVED][-1] == old["sid"]


async def foreign(house: House) -> tuple[str, str]:
    """Somebody else's sink, which leads where ours would, with a subscription."""
    async with connect(house.settings) as account:
        events = account.client.events.v1
        configuration = {"destination": URL, "method": "POST", "batch_events": True}
        sink = await events.sinks.create_async("Billing, ask +14155550123", configuration, WEBHOOK)
        subscription = await events.subscriptions.create_async(
            "Billing", sink.sid, [{"type": "com.twilio.taskrouter.task.created", "schema_version": 1}]
        )
    return sink.sid, subscription.sid


async def test_what_is_not_ours_is_named_and_left_alone(house: House) -> None:
    theirs = await foreign(house)
    before = [
        [row for row in house.rows(name) if row["sid"] in theirs] for name in ("sinks", "subscriptions")
    ]
    house.sandbox.control.clear_journal()
    report = await house.set_up(number="")
    report = await house.set_up(number="", events_url=OTHER_URL)
    [row] = [row for row in report.rows if row.state is RowState.NOT_OURS]
    assert (row.sid, row.note) == (theirs[0], "'Billing, ask …0123' stays")
    after = [[row for row in house.rows(name) if row["sid"] in theirs] for name in ("sinks", "subscriptions")]
    assert after == before
    assert not [line for line in house.written() if any(sid in line for sid in theirs)]


async def test_two_airflows_of_one_account_leave_each_other_alone(house: House) -> None:
    await house.set_up(number="")
    await house.set_up(number="", events_url=OTHER_URL, stream_name="flexsms of staging")
    assert house.sinks() == [("flexsms of staging", OTHER_URL, "active"), (STREAM_NAME, URL, "active")]


async def test_of_two_sinks_for_the_same_url_one_stays(house: House) -> None:
    await house.set_up(number="")
    [ours] = house.rows("sinks")
    async with connect(house.settings) as account:
        await account.client.events.v1.sinks.create_async(STREAM_NAME, ours["configuration"], WEBHOOK)
    await house.set_up(number="")
    assert [row["sid"] for row in house.rows("sinks")] == [ours["sid"]]


async def test_a_sink_that_takes_a_while_is_waited_for(house: House) -> None:
    house.sandbox.control.settings(sink_setup_s=0.3)
    await house.set_up(number="")
    assert house.delivers()


async def test_a_webhook_sink_that_has_to_be_validated_waits_for_somebody(house: House) -> None:
    house.sandbox.control.settings(sinks_to_validate=["webhook"])
    report = await house.set_up(number="")
    [waiting] = report.waiting
    assert (waiting.what, waiting.sid) == ("Sink", house.rows("sinks")[0]["sid"])
    assert "data.test_id" in waiting.note
    assert not house.delivers()


async def test_where_lists_do_not_show_where_sinks_lead_one_delivers_all_the_same(house: House) -> None:
    """A second run cannot know its own sink again, and makes another in its place."""
    house.sandbox.control.settings(sink_list_shows_configuration=False)
    for _ in range(2):
        await house.set_up(number="")
        assert house.sinks() == [(STREAM_NAME, URL, "active")]
        assert house.delivers()


async def test_a_sink_that_fails_is_named_and_replaced_when_it_is_mended(house: House) -> None:
    house.sandbox.control.settings(sink_failures=["*"])
    for _ in range(3):
        with pytest.raises(
            InvalidInput, match=r"events_url: Twilio has no way to it, the sink DG\w+ has failed"
        ):
            await house.set_up(number="")
        assert house.sinks() == [(STREAM_NAME, URL, "failed")]
    house.sandbox.control.settings(sink_failures=[])
    await house.set_up(number="")
    assert house.sinks() == [(STREAM_NAME, URL, "active")]


@pytest.mark.parametrize("looks", [2, 10_000])
async def test_a_sink_that_is_validated_may_need_a_moment(
    house: House, monkeypatch: pytest.MonkeyPatch, looks: int
) -> None:
    await house.set_up(number="", kinesis=KINESIS)
    [sink] = house.rows("sinks")
    fetch = StreamSetup._fetch
    looked = 0

    async def late(self: StreamSetup, sink: Any) -> Any:
        nonlocal looked
        looked += 1
        found = await fetch(self, sink)
        return replace(found, status="validating") if looked < looks else found

    monkeypatch.setattr(StreamSetup, "_fetch", late)
    report = await house.set_up(number="", kinesis=KINESIS, test_id=sink["test_id"])
    assert [row.note for row in report.waiting] == (
        [] if looks == 2 else ["it is validated, and not yet active; run again"]
    )
    monkeypatch.undo()
    await house.set_up(number="", kinesis=KINESIS)
    assert house.delivers()


async def test_a_kinesis_sink_waits_for_the_test_event_to_be_read(house: House) -> None:
    await house.set_up(number="")  # until the stream works, the webhook does
    first = await house.set_up(number="", kinesis=KINESIS)
    assert first.extra["kinesis_stream"] == ARN
    [waiting] = first.waiting
    assert ARN in waiting.note
    assert "test_id" in waiting.note
    assert house.delivers()
    [sink] = [row for row in house.rows("sinks") if row["type"] == "kinesis"]
    assert sink["status"] == "validating"
    house.sandbox.control.clear_journal()
    assert (await house.set_up(number="", kinesis=KINESIS)).waiting
    assert house.written() == []  # a second test event would make the first one's worthless
    with pytest.raises(InvalidInput, match=f"test_id: Twilio does not take it for {sink['sid']}"):
        await house.set_up(number="", kinesis=KINESIS, test_id="TE0")
    last = await house.set_up(number="", kinesis=KINESIS, test_id=sink["test_id"])
    assert not last.waiting
    assert house.sinks() == [(STREAM_NAME, ARN, "active")]
    assert house.delivers()


async def kinesis_of(house: House, **extra: Any) -> tuple[House, SetupReport]:
    """Events go to a stream whose sink is validated.

    :return: the house with such an extra in its connection, and the report of the run that validated
    """
    await house.set_up(number="", events_url="", kinesis=KINESIS)
    [sink] = [row for row in house.rows("sinks") if row["type"] == "kinesis"]
    report = await house.set_up(number="", events_url="", kinesis=KINESIS, test_id=sink["test_id"])
    assert house.delivers()
    house.sandbox.control.clear_journal()
    return house.on(StackName.CONVERSATIONS, **extra), report


@pytest.mark.parametrize(
    "extra",
    [
        {"kinesis_stream": ARN, "events_url": URL},
        {"kinesis_stream": "flexsms", "events_url": URL},
        {"kinesis_stream": ARN},
        {"kinesis_stream": "another", "events_url": URL},
        {"events_url": URL},
        {},
    ],
    ids=["both", "both, by name", "the stream", "another stream", "a URL of before", "neither"],
)
async def test_a_run_for_a_number_keeps_the_kinesis_sink(extra: dict[str, Any], house: House) -> None:
    on, _ = await kinesis_of(house, **extra)
    before = [house.rows(name) for name in ("sinks", "subscriptions")]
    report = await on.set_up(events_url="")
    assert [line for line in house.written() if "events." in line] == []
    assert [house.rows(name) for name in ("sinks", "subscriptions")] == before
    assert not report.waiting
    told = {name: value for name, value in report.extra.items() if name in ("events_url", "kinesis_stream")}
    assert told == ({"kinesis_stream": ARN, **extra} if extra else {})


async def test_a_kinesis_sink_that_waits_is_kept_too_and_still_waits(house: House) -> None:
    first = await house.set_up(number="", events_url="", kinesis=KINESIS)
    sinks = house.sinks()
    on = house.on(StackName.CONVERSATIONS, events_url=URL, kinesis_stream=ARN)
    second = await on.set_up(events_url="")
    assert house.sinks() == sinks
    assert second.waiting == first.waiting
    assert states(second)[-1] == ("Address configuration", "made")
    [sink] = house.rows("sinks")
    third = await on.set_up(events_url="", test_id=sink["test_id"])
    assert not third.waiting
    assert house.delivers()


async def test_of_both_kinds_none_goes_before_a_run_names_one(house: House) -> None:
    await house.set_up(number="")
    await house.set_up(number="", kinesis=KINESIS)
    [waiting] = [row for row in house.rows("sinks") if row["type"] == "kinesis"]
    on = house.on(StackName.CHAT, events_url=URL)
    report = await on.set_up(number="", events_url="")
    [left] = [row for row in report.rows if row.state is RowState.LEFT]
    assert (left.sid, left.note) == (
        waiting["sid"],
        "leads elsewhere; give events_url or kinesis to keep only what that names",
    )
    assert len(house.sinks()) == 2
    # The URL in the connection was changed: that says which webhook, and still not that the stream is over.
    on = house.on(StackName.CHAT, events_url=OTHER_URL)
    await on.set_up(number="", events_url="")
    assert [place for _, place, _ in house.sinks()] == [ARN, OTHER_URL]
    await on.set_up(number="", events_url=OTHER_URL)
    assert [place for _, place, _ in house.sinks()] == [OTHER_URL]


async def test_a_failed_kinesis_sink_is_left_to_a_run_that_names_it(house: House) -> None:
    house.sandbox.control.settings(sink_failures=["*"])
    with pytest.raises(InvalidInput, match="kinesis: Twilio has no way to it"):
        await house.set_up(number="", events_url="", kinesis=KINESIS)
    house.sandbox.control.settings(sink_failures=[])
    await house.on(StackName.CHAT, kinesis_stream=ARN, events_url=URL).set_up(number="", events_url="")
    assert house.sinks() == [(STREAM_NAME, ARN, "failed"), (STREAM_NAME, URL, "active")]


async def test_who_names_a_way_gets_a_connection_that_knows_no_other(house: House) -> None:
    def way(report: SetupReport) -> tuple[str | None, ...]:
        return report.extra.get("events_url"), report.extra.get("kinesis_stream")

    on, report = await kinesis_of(house, kinesis_stream=ARN)
    assert way(report) == (None, ARN)
    assert way(await on.set_up(number="", dry_run=True)) == (URL, ARN)
    assert way(await on.set_up(number="")) == (URL, "")
    assert house.sinks() == [(STREAM_NAME, URL, "active")]
    on = house.on(StackName.CHAT, events_url=URL)
    # Until the stream's sink is active the webhook delivers, and its posts are checked by events_url.
    assert way(await on.set_up(number="", events_url="", kinesis=KINESIS)) == (URL, ARN)
    [sink] = [row for row in house.rows("sinks") if row["type"] == "kinesis"]
    report = await on.set_up(number="", events_url="", kinesis=KINESIS, test_id=sink["test_id"])
    assert way(report) == ("", ARN)
    assert house.sinks() == [(STREAM_NAME, ARN, "active")]


@pytest.mark.parametrize("action", ["drop_after", "drop_before"])
async def test_a_test_event_is_not_sent_twice(action: str, house: House) -> None:
    on = house.on(StackName.CHAT, timeout_s=0.2)
    house.sandbox.control.fault(match={"path": "/Test$"}, times=1, action=action)
    if action == "drop_after":
        assert (await on.set_up(number="", kinesis=KINESIS)).waiting
        assert [line for line in house.written() if line.endswith("/Test")] != []
    else:
        with pytest.raises(OutcomeUnknown):
            await on.set_up(number="", kinesis=KINESIS)
    assert (await on.set_up(number="", kinesis=KINESIS)).waiting
    assert sum(line.endswith("/Test") for line in house.written()) == (1 if action == "drop_after" else 2)


async def test_a_dry_run_over_a_sink_that_waits(house: House) -> None:
    await house.set_up(number="", kinesis=KINESIS)
    house.sandbox.control.clear_journal()
    report = await house.set_up(number="", kinesis=KINESIS, dry_run=True)
    assert house.written() == []
    assert [row.note for row in report.waiting] == ["it is validating, and has to be active"]


@pytest.mark.parametrize("lost", [False, True])
async def test_types_that_are_missing_or_of_another_version_are_put_right(lost: bool, house: House) -> None:
    await house.set_up(number="")
    [row] = house.rows("subscriptions")
    async with connect(house.settings) as account:
        events = account.client.events.v1.subscriptions(row["sid"]).subscribed_events
        await events(KINDS[0]).delete_async()
        await events(KINDS[1]).update_async(schema_version=1)
        await events.create_async("com.twilio.taskrouter.worker.created", schema_version=2)
    house.sandbox.control.clear_journal()
    if lost:
        house.sandbox.control.fault(
            match={"path": "/SubscribedEvents$", "method": "POST"}, times=1, action="drop_after"
        )
    report = await house.set_up(number="")
    assert [row.note for row in report.rows if row.state is RowState.CHANGED] == [
        f"{KINDS[0]}: missing, now 4",
        f"{KINDS[1]}: schema version 1, now 4",
    ]
    assert len(house.written()) == 2
    [row] = house.rows("subscriptions")
    # What somebody has subscribed to besides stays.
    assert row["types"] == {**TYPES, "com.twilio.taskrouter.worker.created": 2}


# Numbers


async def test_flows_that_are_not_long_lived_become_so(house: House, sandbox: SandboxProcess) -> None:
    number = sandbox.settings["numbers"]["twilio_short_lived"]
    report = await house.on(StackName.CHAT).set_up(number=number, events_url="")
    assert [(row.what, str(row.state), row.note) for row in report.rows[-2:]] == [
        ("Flex Flow, studio", "changed", "…0101: long_lived=true"),
        ("Flex Flow, task", "changed", "…0101: long_lived=true"),
    ]
    flows = [row for row in house.rows("flows") if row["contact_identity"] == number]
    assert [row["long_lived"] for row in flows] == [True, True]


async def test_flows_that_lead_elsewhere_are_named_and_changed_only_if_wished(house: House) -> None:
    on, studio, workflow = house.on(StackName.CHAT), "FW" + "1" * 32, "WW" + "1" * 32
    await on.set_up()
    house.sandbox.control.clear_journal()
    moved = {"studio_flow_sid": studio, "workflow_sid": workflow}
    report = await on.set_up(**moved)
    assert house.written() == []
    assert [(str(row.state), row.note) for row in report.rows[-2:]] == [
        (
            "left as it is",
            f"…0177: integration_flow_sid is not {studio}; run again with overwrite to change it",
        ),
        (
            "left as it is",
            f"…0177: integration_workflow_sid is not {workflow}; run again with overwrite to change it",
        ),
    ]
    assert report.extra["studio_flow_sid"] == studio
    await on.set_up(**moved, overwrite=True)
    flows = [row["integration"] for row in house.rows("flows") if row["contact_identity"] == NUMBER]
    assert (flows[0]["flow_sid"], flows[1]["workflow_sid"]) == (studio, workflow)


async def test_a_studio_flow_that_is_switched_off_may_be_so_on_purpose(house: House) -> None:
    on = house.on(StackName.CHAT)
    await on.set_up()
    [flow] = [
        row
        for row in house.rows("flows")
        if (row["contact_identity"], row["integration_type"]) == (NUMBER, "studio")
    ]
    async with connect(house.settings) as account:
        await account.client.flex_api.v1.flex_flow(flow["sid"]).update_async(enabled=False)
    report = await on.set_up()
    assert "enabled is not true" in next(row.note for row in report.rows if row.state is RowState.LEFT)


@pytest.mark.parametrize("lost", [False, True])
@pytest.mark.parametrize(
    ("auto", "state"),
    [
        ({"auto_creation_enabled": False}, "changed"),
        (
            {"auto_creation_type": "webhook", "auto_creation_webhook_url": "https://example.com"},
            "left as it is",
        ),
    ],
)
async def test_an_address_that_does_otherwise(
    auto: dict[str, Any], state: str, lost: bool, house: House
) -> None:
    on = house.on(StackName.CONVERSATIONS)
    await on.set_up()
    sid = next(row["sid"] for row in house.rows("addresses") if row["address"] == NUMBER)
    async with connect(house.settings) as account:
        await account.client.conversations.v1.address_configurations(sid).update_async(**auto)
    if lost:
        house.sandbox.control.fault(
            match={"path": f"/{sid}$", "method": "POST"}, times=1, action="drop_after"
        )
    report = await on.set_up()
    assert (report.rows[-1].what, str(report.rows[-1].state)) == ("Address configuration", state)
    await on.set_up(overwrite=True)
    [row] = [row for row in house.rows("addresses") if row["sid"] == sid]
    assert row["auto_creation"]["enabled"]
    assert row["auto_creation"]["type"] == "studio"


async def test_an_address_that_runs_some_studio_flow_is_as_good_as_any(house: House) -> None:
    on = house.on(StackName.CONVERSATIONS)
    await on.set_up()
    house.sandbox.control.clear_journal()
    report = await on.on(StackName.CONVERSATIONS, studio_flow_sid="").set_up()
    assert str(report.rows[-1].state) == "exists"


# What is wrong is named before anything is made


@pytest.mark.parametrize(
    ("wishes", "sentence"),
    [
        ({"number": "4155550177"}, "number: has no country code"),
        ({"number": "+1415"}, "number: "),
        ({"events_url": "ftp://example.com/x"}, "events_url: is not a URL"),
        ({"events_url": "https://example.com:99999/x"}, "events_url: is not a URL"),
        ({"events_url": "https://example.com:https/x"}, "events_url: is not a URL"),
        ({"kinesis": {"arn": ARN}}, "kinesis: lacks role_arn, external_id"),
        ({"kinesis": {**KINESIS, "region": "x"}}, "kinesis: has region"),
        ({"studio_flow_sid": "FW1"}, "studio_flow_sid: is not a SID of this kind"),
        ({"stream_name": " "}, "stream_name: is empty"),
    ],
)
async def test_a_wrong_wish_is_named(wishes: dict[str, Any], sentence: str, house: House) -> None:
    with pytest.raises((InvalidInput, MissingSetting), match=sentence):
        await house.set_up(**wishes)
    assert house.sandbox.control.journal() == []


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize(
    ("stack", "field"),
    [
        ("chat", "chat_service_sid"),
        ("chat", "studio_flow_sid"),
        ("chat", "workflow_sid"),
        ("chat", "workspace_sid"),
        ("conversations", "studio_flow_sid"),
    ],
)
async def test_a_setting_that_is_missing_is_named_by_a_dry_run_too(
    stack: str, field: str, dry_run: bool, house: House
) -> None:
    with pytest.raises(MissingSetting, match=f"{field}: is empty"):
        await house.on(StackName(stack), **{field: ""}).set_up(dry_run=dry_run)


async def test_a_sync_service_that_is_not_there_is_named_not_made(house: House) -> None:
    with pytest.raises(MissingSetting, match="sync_service_sid: names no Sync service of this account"):
        await house.on(StackName.CHAT, sync_service_sid="IS" + "0" * 32).set_up()
    assert house.written() == []


async def test_the_sync_service_that_the_connection_names_stays(
    house: House, sandbox: SandboxProcess
) -> None:
    sid = sandbox.settings["sync_service_sid"]
    report = await house.on(StackName.CHAT, sync_service_sid=sid).set_up(number="", events_url="")
    assert report.extra["sync_service_sid"] == sid
    assert states(report) == [("Sync service", "exists"), ("Sink", "skipped"), ("Number", "skipped")]
