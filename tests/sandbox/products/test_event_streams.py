"""events v1: sinks, subscriptions, event types and schemas."""

from __future__ import annotations

from typing import Any

import pytest

from flexsms.sandbox.client import ControlError
from tests.sandbox.conftest import Account, refused

WEBHOOK = {"destination": "http://127.0.0.1:9/hook", "method": "POST", "batch_events": True}
KINESIS = {
    "arn": "arn:aws:kinesis:us-east-1:111111111:stream/events",
    "role_arn": "arn:aws:iam::111111111:role/Twilio",
    "external_id": "1234567890",
}
COMPLETED = "com.twilio.taskrouter.task.completed"
CREATED = "com.twilio.taskrouter.task.created"


def make_sink(account: Account, kind: str = "webhook", configuration: dict[str, Any] | None = None) -> Any:
    return account.events.sinks.create(
        description="flexsms",
        sink_configuration=configuration or {"webhook": WEBHOOK, "kinesis": KINESIS}[kind],
        sink_type=kind,
    )


def subscribe(account: Account, sink_sid: str, *types: Any) -> Any:
    wanted = [{"type": one, "schema_version": 4} if isinstance(one, str) else one for one in types]
    return account.events.subscriptions.create(
        description="tasks", sink_sid=sink_sid, types=wanted or [{"type": COMPLETED}]
    )


def test_the_life_of_a_sink(account: Account) -> None:
    sinks = account.events.sinks
    made = make_sink(account)
    assert (made.status, made.sink_type, made.description) == ("active", "webhook", "flexsms")
    # The command line of Twilio shows the method in lower case.
    assert made.sink_configuration == {**WEBHOOK, "method": "post"}
    account.control.advance(60)
    renamed = sinks(made.sid).update(description="renamed")
    assert renamed.date_updated > renamed.date_created
    assert sinks(made.sid).fetch().description == "renamed"
    assert [one.sid for one in sinks.list()] == [made.sid]
    assert sinks(made.sid).delete()
    assert refused(sinks(made.sid).fetch) == (404, 91001)
    assert refused(sinks(made.sid).delete) == (404, 91001)
    assert sinks.list() == []


@pytest.mark.parametrize(
    ("kind", "configuration", "code"),
    [
        ("webhook", {}, 91000),
        ("webhook", {"destination": "", "method": "POST"}, 91000),
        ("webhook", {"destination": "https://example.org/x"}, 91000),
        ("webhook", {"destination": "example.org/x", "method": "POST"}, 91000),
        ("webhook", {"destination": "https://example.org/x", "method": "PUT"}, 91000),
        ("kinesis", {**KINESIS, "arn": ""}, 91000),
        ("kinesis", {**KINESIS, "role_arn": None}, 91000),
        ("kinesis", {"arn": "a", "role_arn": "b"}, 91000),
        ("segment", {"key": "x"}, 91000),
        ("pigeon", WEBHOOK, 20001),
        ("webhook", [], 20001),
    ],
)
def test_sinks_that_are_refused(account: Account, kind: str, configuration: Any, code: int) -> None:
    create = account.events.sinks.create
    given = {"sink_configuration": configuration, "sink_type": kind}
    assert refused(create, description="d", **given) == (400, code)
    assert account.events.sinks.list() == []


def test_a_sink_needs_a_description(account: Account) -> None:
    create = account.events.sinks.create
    assert refused(create, description="", sink_configuration=WEBHOOK, sink_type="webhook") == (400, 20001)
    assert refused(account.events.sinks(make_sink(account).sid).update, "") == (400, 20001)


def test_a_hundred_sinks_and_no_more(account: Account) -> None:
    sids = {make_sink(account).sid for _ in range(100)}
    assert refused(make_sink, account) == (400, 91003)
    listed = account.events.sinks.list(page_size=30)
    assert {one.sid for one in listed} == sids
    account.events.sinks(sids.pop()).delete()
    assert make_sink(account).status == "active"


def test_sinks_by_status_and_use(account: Account) -> None:
    sinks = account.events.sinks
    used, free, new = make_sink(account), make_sink(account), make_sink(account, "kinesis")
    subscribe(account, used.sid)
    assert [one.sid for one in sinks.list(in_use=True)] == [used.sid]
    assert [one.sid for one in sinks.list(in_use=False)] == [free.sid, new.sid]
    assert [one.sid for one in sinks.list(status="initialized")] == [new.sid]
    assert [one.sid for one in sinks.list(status="active", in_use=False)] == [free.sid]
    assert refused(sinks(used.sid).delete) == (400, 91007)


def test_kinesis_is_validated_by_its_newest_test_event(account: Account) -> None:
    sink = account.events.sinks(make_sink(account, "kinesis").sid)
    assert sink.fetch().status == "initialized"
    assert refused(subscribe, account, sink.fetch().sid) == (400, 91100)
    assert sink.sink_test.create().result == "submitted"
    assert sink.fetch().status == "validating"
    assert refused(sink.sink_validate.create, test_id="TE" + "0" * 32) == (400, 20001)
    assert sink.fetch().status == "validating"
    (row,) = account.control.state()["tables"]["sinks"]
    assert sink.sink_validate.create(test_id=row["test_id"]).result == "valid"
    assert sink.fetch().status == "active"
    assert subscribe(account, row["sid"]).sink_sid == row["sid"]
    assert sink.sink_test.create().result == "submitted"
    assert sink.fetch().status == "active"


def test_no_sink_has_to_be_validated(account: Account) -> None:
    """As the newer of Twilio's pages has it."""
    account.control.settings(sinks_to_validate=[])
    sink = make_sink(account, "kinesis")
    assert sink.status == "active"
    assert account.events.sinks(sink.sid).sink_validate.create(test_id="any").result == "valid"


@pytest.mark.parametrize("failing", [[], ["*"], [WEBHOOK["destination"]], ["http://127.0.0.1:9/other"]])
def test_a_sink_takes_its_time_and_may_fail(account: Account, failing: list[str]) -> None:
    account.control.settings(sink_setup_s=5.0, sink_failures=failing)
    sink = account.events.sinks(make_sink(account).sid)
    assert sink.fetch().status == "initialized"
    account.control.advance(6)
    fails = failing and failing[0] in ("*", WEBHOOK["destination"])
    assert sink.fetch().status == ("failed" if fails else "active")


def test_the_life_of_a_subscription(account: Account) -> None:
    subscriptions = account.events.subscriptions
    first, second = make_sink(account), make_sink(account)
    made = subscribe(account, first.sid, COMPLETED)
    other = subscribe(account, second.sid, COMPLETED)
    assert (made.sink_sid, made.description) == (first.sid, "tasks")
    assert [one.sid for one in subscriptions.list()] == [made.sid, other.sid]
    assert [one.sid for one in subscriptions.list(sink_sid=second.sid)] == [other.sid]
    assert subscriptions(made.sid).update(description="renamed").description == "renamed"
    assert subscriptions(made.sid).fetch().description == "renamed"
    assert subscriptions(made.sid).delete()
    assert refused(subscriptions(made.sid).fetch) == (404, 91102)
    assert account.events.sinks(first.sid).delete()


@pytest.mark.parametrize(
    ("types", "code"),
    [
        ([{"type": COMPLETED}, {"type": COMPLETED, "schema_version": 1}], 91101),
        ([{"type": "com.twilio.taskrouter.task.eaten"}], 91104),
        ([{"type": COMPLETED, "schema_version": 5}], 91104),
        ([{"type": COMPLETED, "schema_version": "4"}], 91104),
        ([{"schema_version": 1}], 91104),
        (["[]"], 20001),
        ([], 20001),
    ],
)
def test_subscriptions_that_are_refused(account: Account, types: list[Any], code: int) -> None:
    sink = make_sink(account)
    create = account.events.subscriptions.create
    assert refused(create, description="d", sink_sid=sink.sid, types=types) == (400, code)
    assert account.events.subscriptions.list() == []


def test_one_subscription_per_sink(account: Account) -> None:
    sink = make_sink(account)
    subscribe(account, sink.sid)
    assert refused(subscribe, account, sink.sid, CREATED) == (400, 91100)
    assert refused(subscribe, account, "DG" + "0" * 32) == (404, 91001)


def test_subscribed_events(account: Account) -> None:
    made = subscribe(account, make_sink(account).sid, {"type": CREATED, "schema_version": 1})
    subscription = account.events.subscriptions(made.sid)
    added = subscription.subscribed_events.create(type=COMPLETED)
    assert (added.type, added.schema_version, added.subscription_sid) == (COMPLETED, 4, made.sid)
    listed = {one.type: one.schema_version for one in subscription.subscribed_events.list()}
    assert listed == {CREATED: 1, COMPLETED: 4}
    assert subscription.subscribed_events(CREATED).update(schema_version=2).schema_version == 2
    assert subscription.subscribed_events(CREATED).fetch().schema_version == 2
    assert subscription.subscribed_events(CREATED).update().schema_version == 4
    assert refused(subscription.subscribed_events(CREATED).update, schema_version=9) == (400, 91104)
    assert refused(subscription.subscribed_events.create, type=CREATED) == (400, 91101)
    assert refused(subscription.subscribed_events.create, type="nothing") == (400, 91104)
    assert subscription.subscribed_events(CREATED).delete()
    assert refused(subscription.subscribed_events(CREATED).fetch) == (404, 20404)
    assert [one.type for one in subscription.subscribed_events.list()] == [COMPLETED]


def test_types_and_schemas(account: Account) -> None:
    events = account.events
    types = {one.type: one for one in events.event_types.list(page_size=20)}
    assert types[COMPLETED].schema_id == "TaskRouter.WDSEvent"
    assert len(types) > 20
    of_texts = events.event_types.list(schema_id="Messaging.MessageStatus")
    assert {one.type.removeprefix("com.twilio.messaging.message.") for one in of_texts} == {
        "queued", "sent", "delivered", "undelivered", "failed", "read",
    }  # fmt: skip
    [inbound] = events.event_types.list(schema_id="Messaging.InboundMessageV1")
    assert inbound.type == "com.twilio.messaging.inbound-message.received"
    assert events.event_types(COMPLETED).fetch().status == "available"
    assert refused(events.event_types("nothing").fetch) == (404, 91104)
    schema = events.schemas("TaskRouter.WDSEvent")
    assert schema.fetch().latest_version == 4
    assert [one.schema_version for one in schema.versions.list()] == [1, 2, 3, 4]
    assert schema.versions(2).fetch().raw == "https://events-schemas.twilio.com/TaskRouter.WDSEvent/2"
    assert refused(schema.versions(5).fetch) == (404, 20404)
    assert refused(events.schemas("Nothing").fetch) == (404, 20404)


@pytest.mark.parametrize(
    "wrong", [{"stream_single": "pair"}, {"stream_batch": [0, 1]}, {"stream_batch": [5, 4]}]
)
def test_settings_that_are_refused(account: Account, wrong: dict[str, Any]) -> None:
    with pytest.raises(ControlError):
        account.control.settings(**wrong)
