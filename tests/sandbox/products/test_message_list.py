"""api 2010-04-01: the list of messages, of whichever product, with its filters and its pages."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from math import inf
from typing import Any

import pytest

from flexsms.sandbox.products.messaging import message_filter, outbox, segments
from flexsms.sandbox.state.account import NUMBER, EmulatedAccount
from flexsms.sandbox.state.ordered import Ordered
from tests.sandbox.conftest import CUSTOMER, Account, refused

OTHER = "+14155550143"


def messages(account: Account) -> Any:
    return account.client.api.v2010.accounts(account.settings["account_sid"]).messages


def bodies(account: Account, **filters: Any) -> list[str]:
    return [one.body for one in messages(account).list(**filters)]


def now(account: Account) -> datetime:
    return datetime.fromisoformat(account.control.clock()["now"])


def text(account: Account, body: str, to: str = CUSTOMER, sender: str | None = None) -> Any:
    return messages(account).create(to=to, from_=sender or account.number, body=body)


def test_every_product_and_both_directions_newest_first(account: Account) -> None:
    channel = account.open_channel()
    session = account.open_session(channel.sid)
    account.chat.channels(channel.sid).messages.create(body="by Proxy")
    account.control.advance(5)
    account.customer("answer of the chat")
    account.control.advance(5)
    conversation = account.open_conversation(OTHER)
    account.conversations.conversations(conversation.sid).messages.create(body="by Conversations")
    account.control.advance(5)
    account.customer("answer of the conversation", OTHER, account.conversations_number)
    account.control.advance(5)
    text(account, "by nobody", OTHER)
    found = messages(account).list()
    assert [(one.body, str(one.direction), str(one.status)) for one in found] == [
        ("by nobody", "outbound-api", "queued"),
        ("answer of the conversation", "inbound", "received"),
        ("by Conversations", "outbound-api", "delivered"),
        ("answer of the chat", "inbound", "received"),
        ("by Proxy", "outbound-api", "delivered"),
    ]
    arrived, arrived_by_proxy = found[1], found[3]
    assert (arrived.from_, arrived.to) == (OTHER, account.conversations_number)
    assert arrived.date_sent == arrived.date_created
    assert messages(account)(arrived.sid).fetch().body == arrived.body
    interactions = account.proxy.sessions(session.sid).interactions.list()
    assert arrived_by_proxy.sid in {one.inbound_resource_sid for one in interactions}


def test_to_and_from(account: Account) -> None:
    text(account, "one")
    text(account, "two", OTHER)
    text(account, "three", CUSTOMER, account.conversations_number)
    account.customer("four")
    account.customer("five", OTHER)
    mine, theirs = account.number, account.conversations_number
    assert bodies(account, to=CUSTOMER) == ["three", "one"]
    assert bodies(account, from_=CUSTOMER) == ["four"]
    assert bodies(account, from_=mine) == ["two", "one"]
    assert bodies(account, to=mine) == ["five", "four"]
    assert bodies(account, to=CUSTOMER, from_=theirs) == ["three"]
    assert bodies(account, to=mine, from_=OTHER) == ["five"]
    assert bodies(account, to=OTHER, from_=theirs) == bodies(account, from_="+14155550177") == []


def test_a_text_that_nobody_has_received_is_no_message(account: Account) -> None:
    assert account.customer("Hello?", number="+14155559999")["outcome"] == "unrouted"
    assert bodies(account) == []


def test_when_it_was_sent(account: Account) -> None:
    begin = now(account)
    for body in ("first", "second", "third"):
        text(account, body)
        account.control.advance(100)
    text(account, "still queued")
    sent = begin + timedelta(seconds=101)  # of the second one
    assert bodies(account, date_sent_after=sent) == ["third", "second"]
    assert bodies(account, date_sent_before=sent) == ["second", "first"]
    assert bodies(account, to=CUSTOMER, from_=account.number, date_sent_after=sent) == ["third", "second"]
    assert bodies(account, from_=account.number, date_sent_after=sent, date_sent_before=sent) == ["second"]
    assert bodies(account, date_sent_after=sent + timedelta(seconds=1)) == ["third"]
    assert bodies(account) == ["still queued", "third", "second", "first"]
    assert messages(account).list()[2].date_sent == sent


def test_the_day_of_a_moment(account: Account) -> None:
    begin = now(account)
    midnight = datetime.combine(begin.date() + timedelta(days=2), datetime.min.time(), UTC)
    account.control.advance((midnight - begin).total_seconds() - 10)
    for body in ("the day before", "on the day"):
        text(account, body)
        account.control.advance(20)
    assert bodies(account, date_sent=midnight) == bodies(account, date_sent_after=midnight) == ["on the day"]
    assert bodies(account, date_sent_before=midnight) == ["the day before"]
    assert bodies(account, date_sent=midnight + timedelta(hours=9)) == ["on the day"]


def test_a_date_is_a_day() -> None:
    """As Twilio's page says; the SDK makes a moment of it, and the OpenAPI document wants one."""
    day = 1_230_768_000  # 2009-01-01
    assert message_filter.span({"DateSent": "2009-01-01"}) == (day, day + 86_400)
    assert message_filter.span({"DateSent>": "2009-01-01"}) == (day, inf)
    assert message_filter.span({"DateSent<": "2009-01-01"}) == (-inf, day + 86_400)
    assert message_filter.span({"DateSent<": "2009-01-01T00:00:00Z"}) == (-inf, day + 1)


def test_a_text_that_is_refused_was_on_its_way_as_long(account: Account) -> None:
    account.customer("STOP")
    begin = now(account)
    channel = account.open_channel()
    account.open_session(channel.sid)
    account.chat.channels(channel.sid).messages.create(body="Hello")
    [found] = messages(account).list(to=CUSTOMER, date_sent_after=begin)
    assert (str(found.status), found.error_code) == ("failed", 21610)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 50])
def test_pages(account: Account, size: int) -> None:
    for number in range(5):
        text(account, str(number))
    account.control.advance(10)
    newest_first = ["4", "3", "2", "1", "0"]
    for filters in ({}, {"from_": account.number}, {"to": CUSTOMER}):
        assert bodies(account, page_size=size, **filters) == newest_first
    page = messages(account).page(page_size=size)
    assert (page._payload["start"], page._payload["page_size"]) == (0, size)
    assert page._payload["first_page_uri"].startswith("/2010-04-01/Accounts/")
    seen = [[one.body for one in page]]
    while following := page.next_page():
        page = following
        seen.append([one.body for one in page])
    assert (page._payload["end"], page._payload["next_page_uri"]) == (4, None)
    assert [body for one in seen for body in one] == newest_first
    back = []
    while previous := page.previous_page():
        page = previous
        back.append([one.body for one in page])
    assert back == seen[-2::-1]


def test_what_arrives_meanwhile_moves_no_page(account: Account) -> None:
    for number in range(4):
        text(account, str(number))
    account.control.advance(10)
    page = messages(account).page(page_size=2)
    text(account, "new")
    following = page.next_page()
    assert following is not None
    assert [one.body for one in following] == ["1", "0"]


def test_what_no_list_has(account: Account) -> None:
    other = account.client.api.v2010.accounts("AC" + "0" * 32).messages
    url = f"https://api.twilio.com/2010-04-01{messages(account)._uri}"
    assert account.client.request("GET", f"https://api.twilio.com/2010-04-01{other._uri}").status_code == 404
    text(account, "Hello")
    for name, value in (
        ("PageSize", "1001"),
        ("PageToken", "PAeyJ9"),
        ("PageToken", "PAImEi"),
        ("Status", "sent"),
    ):
        assert account.client.request("GET", url, params={name: value}).status_code == 400, (name, value)
    assert refused(messages(account)("SM" + "0" * 32).fetch) == (404, 20404)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("", 1), ("a" * 160, 1), ("a" * 161, 2), ("a" * 306, 2), ("a" * 307, 3), ("€" * 80, 1), ("€" * 81, 2),
        ("a" * 152 + "€" + "a" * 152, 3), ("ж" * 70, 1), ("ж" * 71, 2), ("ж" * 135, 3), ("😀" * 35, 1), ("😀" * 36, 2),
        ("😀" * 66, 2), ("😀" * 67, 3),
    ],
)  # fmt: skip
def test_segments(body: str, expected: int) -> None:
    """Nothing is cut in two: no letter of two septets, no emoji of two units."""
    assert segments.count(body) == expected


def test_segments_of_a_message(account: Account) -> None:
    text(account, "a" * 161)
    account.customer("ж" * 71)
    assert [one.num_segments for one in messages(account).list()] == ["2", "2"]


def test_lists_are_the_same_after_a_restore(account: Account) -> None:
    for number in range(3):
        text(account, str(number), OTHER if number else CUSTOMER)
        account.control.advance(1)
    account.customer("Hello")
    before = [bodies(account, **filters) for filters in ({}, {"from_": account.number}, {"to": OTHER})]
    account.control.restore(account.control.state())
    assert [
        bodies(account, **filters) for filters in ({}, {"from_": account.number}, {"to": OTHER})
    ] == before


def test_a_list_looks_at_no_more_than_it_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reads the fate of a broadcast asks for a thousand texts of a hundred thousand, again and again."""
    account = EmulatedAccount()
    account.clock.run(False)
    numbers = [f"+1415555{1000 + n}" for n in range(3000)]
    for number in numbers:
        outbox.dispatch(account, account.account_sid, number, NUMBER, "Hello")
        account.clock.advance(1)
    account.run_due_timers()
    middle = str(datetime.fromtimestamp(account.clock.now() - 1500, UTC))
    walked: list[Any] = []
    by_itself = Ordered._from

    def counted(order: Ordered[Any], index: int, step: int) -> Iterator[Any]:
        for position in by_itself(order, index, step):
            walked.append(position)
            yield position

    monkeypatch.setattr(Ordered, "_from", counted)
    for asked in (
        {"From": NUMBER},
        {"From": NUMBER, "DateSent<": middle},
        {"DateSent>": middle},
        {"To": NUMBER},
    ):
        walked.clear()
        found = list(islice(message_filter.walk(account, asked)(None, False), 100))
        assert len(found) == (0 if "To" in asked else 100)
        assert len(walked) <= 3 * 100, asked  # a text that has moved leaves a gap behind
    walked.clear()
    [(_, text)] = message_filter.walk(account, {"To": numbers[7]})(None, False)
    assert (text.to, walked) == (numbers[7], [])
