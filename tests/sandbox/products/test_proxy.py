"""proxy v1: sessions, participants, interactions."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import requests  # noqa: TID251 (what the SDK would never send)
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

from flexsms.sandbox.client import SandboxProcess
from tests.sandbox.conftest import CUSTOMER, Account, Rewriting, refused


def test_services(account: Account) -> None:
    assert account.proxy.fetch().chat_instance_sid == account.settings["chat_service_sid"]
    assert len(account.client.proxy.v1.services.list()) == 1


def test_a_session_by_sid_and_by_unique_name(account: Account) -> None:
    channel = account.open_channel()
    session = account.open_session(channel.sid)
    assert (session.status, session.mode, session.unique_name) == ("open", "message-only", channel.sid)
    assert account.proxy.sessions(session.sid).fetch().sid == session.sid
    assert account.proxy.sessions(channel.sid).fetch().sid == session.sid
    assert [one.sid for one in account.proxy.sessions.list()] == [session.sid]
    assert refused(account.proxy.sessions("CH" + "0" * 32).fetch) == (404, 80308)
    assert refused(account.proxy.sessions("KC" + "0" * 32).fetch) == (404, 20404)


def test_updates_and_deletes_want_the_sid(account: Account) -> None:
    channel = account.open_channel()
    session = account.open_session(channel.sid)
    assert refused(account.proxy.sessions(channel.sid).update, status="closed") == (404, 20404)
    assert refused(account.proxy.sessions(channel.sid).delete) == (404, 20404)
    assert account.proxy.sessions(session.sid).delete()
    assert refused(account.proxy.sessions(channel.sid).fetch) == (404, 80308)


def test_a_session_is_written_into_the_attributes_of_its_channel(account: Account) -> None:
    channel = account.open_channel()
    session = account.open_session(channel.sid)
    assert json.loads(account.chat.channels(channel.sid).fetch().attributes)["proxySession"] == session.sid
    account.control.settings(stamp_proxy_session=False)
    other = account.open_channel("+14155550143")
    account.open_session(other.sid, "+14155550143")
    assert "proxySession" not in json.loads(account.chat.channels(other.sid).fetch().attributes)


def test_unique_names_are_unique_even_when_closed(account: Account) -> None:
    channel = account.open_channel()
    session = account.open_session(channel.sid)
    account.proxy.sessions(session.sid).update(status="closed")
    assert refused(account.open_session, channel.sid) == (400, 80603)
    assert refused(account.proxy.sessions.create, unique_name="x" * 192) == (400, 20001)


@pytest.mark.parametrize(
    ("switches", "codes"),
    [({}, (80604, 80801)), ({"pair_taken_code": 80103, "reopen_taken_code": 80604}, (80103, 80604))],
)
def test_a_number_pair_is_in_one_open_session(
    account: Account, switches: dict[str, int], codes: tuple[int, int]
) -> None:
    account.control.settings(**switches)
    first = account.open_session(account.open_channel().sid)
    other = account.open_channel(flow="studio")
    assert refused(account.open_session, other.sid) == (400, codes[0])
    free = account.proxy.sessions(account.proxy.sessions.create(unique_name="free").sid)
    assert refused(free.participants.create, identifier=CUSTOMER) == (400, codes[0])
    account.proxy.sessions(first.sid).update(status="closed")
    second = account.open_session(other.sid)
    assert refused(account.proxy.sessions(first.sid).update, status="in-progress") == (400, codes[1])
    account.proxy.sessions(second.sid).delete()
    assert account.proxy.sessions(first.sid).update(status="in-progress").status == "in-progress"


@pytest.mark.parametrize("named", [True, False])
def test_who_holds_a_pair_is_told_only_if_asked_for(account: Account, named: bool) -> None:
    account.control.settings(pair_taken_names_session=named)
    first = account.open_session(account.open_channel().sid)
    with pytest.raises(TwilioRestException) as caught:
        account.open_session(account.open_channel(flow="studio").sid)
    assert (first.sid in caught.value.msg) is named


@pytest.mark.parametrize("code", [80623, 80802])
def test_two_requests_for_one_participant_at_the_same_moment(
    account: Account, sandbox: SandboxProcess, code: int
) -> None:
    """The later one is refused with 409 while the earlier one is under way, and may be repeated after that."""
    first, second = account.open_channel().sid, account.open_channel(flow="studio").sid
    account.control.settings(latency_ms=2000, same_moment_code=code)
    account.control.clear_journal()
    http = Rewriting(sandbox.base_url)
    client = Client(account.settings["account_sid"], account.settings["auth_token"], http_client=http)
    other = Account(client, account.control, account.settings)
    with ThreadPoolExecutor(1) as pool:
        earlier = pool.submit(other.open_session, first)
        while not account.control.journal():
            time.sleep(0.01)
        account.control.settings(latency_ms=0)
        assert refused(account.open_session, second) == (409, code)
        assert earlier.result().unique_name == first
    http.close()
    assert refused(account.open_session, second) == (400, 80604)


def test_participants_as_one_list(account: Account, sandbox: SandboxProcess) -> None:
    """The outbound recipes send them so: one field with a JSON array."""
    channel_sid = account.open_channel().sid
    people = [{"Identifier": who, "ProxyIdentifier": account.number} for who in (CUSTOMER, channel_sid)]
    service, auth = account.settings["session_service_sid"], account.settings["account_sid"]
    answer = requests.post(
        f"{sandbox.base_url}/proxy.twilio.com/v1/Services/{service}/Sessions",
        data={"UniqueName": channel_sid, "Participants": json.dumps(people)},
        auth=(auth, account.settings["auth_token"]), timeout=5,
    )  # fmt: skip
    assert answer.status_code == 201
    found = account.proxy.sessions(answer.json()["sid"]).participants.list()
    assert [one.identifier for one in found] == [CUSTOMER, channel_sid]


@pytest.mark.parametrize(
    ("before", "wanted", "code"),
    [
        ("closed", "closed", 80607),
        ("closed", None, 80607),
        ("closed", "open", 80608),
        ("open", "in-progress", 80608),
        ("open", "failed", 80608),
        ("in-progress", "open", 80608),
    ],
)
def test_status_moves_that_are_refused(account: Account, before: str, wanted: str | None, code: int) -> None:
    session = account.open_session(account.open_channel().sid)
    if before == "in-progress":
        account.customer()
    if before == "closed":
        account.proxy.sessions(session.sid).update(status="closed")
    change = {"status": wanted} if wanted else {"ttl": 60}
    assert refused(account.proxy.sessions(session.sid).update, **change) == (400, code)
    assert account.proxy.sessions(session.sid).fetch().status == before


def test_close_and_reopen(account: Account) -> None:
    session = account.proxy.sessions(account.open_session(account.open_channel().sid).sid)
    closed = session.update(status="closed")
    assert (closed.status, closed.closed_reason) == ("closed", "api")
    assert closed.date_ended is not None
    opened = session.update(status="in-progress", ttl=3600)
    assert (opened.status, opened.closed_reason, opened.ttl) == ("in-progress", None, 3600)


def test_sessions_expire(account: Account) -> None:
    session = account.proxy.sessions(account.open_session(account.open_channel().sid).sid)
    session.update(ttl=600)
    account.control.advance(400)
    account.customer()
    account.control.advance(400)
    assert session.fetch().status == "in-progress"
    account.control.advance(201)
    assert (session.fetch().status, session.fetch().closed_reason) == ("closed", "ttl-expired")
    now = datetime.fromisoformat(account.control.clock()["now"])
    assert session.update(status="in-progress").status == "in-progress"
    account.control.advance(599)
    assert session.fetch().status == "in-progress"
    account.control.advance(2)
    assert session.fetch().status == "closed"
    now = datetime.fromisoformat(account.control.clock()["now"])
    session.update(status="in-progress", ttl=0, date_expiry=now + timedelta(seconds=60))
    account.control.advance(61)
    assert session.fetch().status == "closed"
    assert refused(session.update, status="in-progress") == (400, 80904)
    assert session.fetch().date_expiry.astimezone(UTC) > now


def test_participants(account: Account) -> None:
    session = account.proxy.sessions(account.proxy.sessions.create(unique_name="empty").sid)
    one = session.participants.create(identifier=CUSTOMER, friendly_name="Ada")
    assert one.proxy_identifier == account.number
    assert session.participants(one.sid).fetch().identifier == CUSTOMER
    two = session.participants.create(identifier="+14155550143", proxy_identifier=account.number)
    assert [row.sid for row in session.participants.list()] == [one.sid, two.sid]
    assert refused(session.participants.create, identifier="+14155550144") == (400, 80609)
    half = account.proxy.sessions(account.proxy.sessions.create(unique_name="half").sid)
    half.participants.create(identifier="+14155550145")
    assert refused(half.participants.create, identifier="+14155550145") == (400, 80103)
    assert session.participants(two.sid).delete()
    assert [row.sid for row in session.participants.list()] == [one.sid]
    assert session.participants(two.sid).fetch().date_deleted is not None
    session.update(status="closed")
    assert refused(session.participants.create, identifier="+14155550143") == (400, 80607)
    assert refused(session.participants("KP" + "0" * 32).fetch) == (404, 20404)


def test_participants_that_cannot_be(account: Account) -> None:
    create = account.proxy.sessions.create
    assert refused(create, participants=[{"FriendlyName": "nobody"}]) == (400, 80404)
    assert refused(create, participants=[{"Identifier": CUSTOMER, "Colour": "red"}]) == (400, 20001)
    assert refused(create, participants=[{"Identifier": CUSTOMER, "ProxyIdentifier": "+14155559999"}]) == (
        400,
        80404,
    )
    assert refused(create, participants=[{"Identifier": CUSTOMER}] * 2) == (400, 80103)
    assert refused(create, participants=["nobody"]) == (400, 20001)
    assert refused(create, mode="smoke-signals") == (400, 20001)
    assert account.proxy.sessions.list() == []


def test_interactions_show_the_text_on_its_way(account: Account) -> None:
    channel = account.open_channel()
    session = account.proxy.sessions(account.open_session(channel.sid).sid)
    message = account.chat.channels(channel.sid).messages.create(body="Hello Ada")
    (one,) = session.interactions.list()
    assert json.loads(one.data) == {"body": "Hello Ada"}
    assert one.inbound_resource_sid == message.sid
    assert one.outbound_resource_status == "queued"
    account.control.advance(1)
    assert session.interactions(one.sid).fetch().outbound_resource_status == "sent"
    account.control.advance(1)
    assert session.interactions(one.sid).fetch().outbound_resource_status == "delivered"
    assert session.fetch().status == "in-progress"
    account.customer("Hi")
    first, second = session.interactions.list(page_size=1)
    assert (first.sid, second.inbound_resource_status) == (one.sid, "received")
    assert session.interactions(one.sid).delete()
    assert refused(session.interactions(one.sid).fetch) == (404, 20404)


def test_message_interactions_reach_the_handset_alone(account: Account) -> None:
    channel = account.open_channel()
    session = account.proxy.sessions(account.open_session(channel.sid).sid)
    customer, chat = session.participants.list()
    sent = session.participants(customer.sid).message_interactions.create(body="Psst")
    assert (sent.participant_sid, sent.outbound_resource_status) == (customer.sid, "queued")
    assert sent.inbound_resource_status is None
    found = session.participants(customer.sid).message_interactions
    assert [row.sid for row in found.list()] == [sent.sid]
    assert found(sent.sid).fetch().sid == sent.sid
    assert session.participants(chat.sid).message_interactions.list() == []
    assert [text["body"] for text in account.control.outbox()] == ["Psst"]
    assert account.chat.channels(channel.sid).messages.list() == []
    assert refused(session.participants(chat.sid).message_interactions.create, body="x") == (400, 80405)
    assert refused(found.create) == (400, 20001)
    session.update(status="closed")
    assert refused(found.create, body="late") == (400, 80607)
    assert refused(found("KI" + "0" * 32).fetch) == (404, 20404)
