"""Texts that a carrier or quiet hours hold back, by rule."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from flexsms.sandbox.client import ControlError
from tests.sandbox.conftest import CUSTOMER, Account


def send(account: Account, body: str = "Hello", to: str = CUSTOMER) -> None:
    messages = account.client.api.v2010.accounts(account.settings["account_sid"]).messages
    messages.create(to=to, from_=account.number, body=body)


def fates(account: Account) -> list[tuple[str, int | None]]:
    account.control.advance(5)
    return [(text["status"], text["error_code"]) for text in account.control.outbox()]


def test_each_fifth_text_is_filtered(account: Account) -> None:
    account.control.settings(sms_filters=[{"code": 30007, "every": 5}])
    for _ in range(7):
        send(account)
    account.control.restore(account.control.state())
    for _ in range(4):
        send(account)
    codes = [code for _, code in fates(account)]
    assert [place for place, code in enumerate(codes, 1) if code] == [5, 10]
    assert fates(account)[4] == ("undelivered", 30007)


def test_by_text_and_by_recipient(account: Account) -> None:
    account.control.settings(
        sms_filters=[{"code": 30007, "body": "(?i)free"}, {"code": 30005, "to": "0143$", "status": "failed"}]
    )
    send(account, "Get it for FREE")
    send(account, to="+14155550143")
    send(account)
    assert fates(account) == [("undelivered", 30007), ("failed", 30005), ("delivered", None)]
    assert [status for status, _ in account.control.outbox()[1]["history"]] == ["queued", "failed"]


def test_a_share_of_recipients_is_the_same_people_each_time(account: Account) -> None:
    account.control.settings(sms_filters=[{"code": 30003, "share": 0.25}])
    people = [f"+1415555{n:04d}" for n in range(1000, 1100)]
    for _ in range(2):
        for to in people:
            send(account, to=to)
    codes = [code for _, code in fates(account)]
    assert 10 < codes[:100].count(30003) < 45
    assert codes[:100] == codes[100:]


def test_a_filter_holds_for_every_product(account: Account) -> None:
    account.control.settings(sms_filters=[{"code": 30007, "every": 1}])
    channel = account.open_channel()
    session = account.open_session(channel.sid)
    account.chat.channels(channel.sid).messages.create(body="Hello")
    one = account.conversations.conversations(account.open_conversation().sid)
    message = one.messages.create(body="Hello")
    assert fates(account) == [("undelivered", 30007)] * 2
    [interaction] = account.proxy.sessions(session.sid).interactions.list()
    assert str(interaction.outbound_resource_status) == "undelivered"
    [receipt] = one.messages(message.sid).delivery_receipts.list()
    assert (str(receipt.status), receipt.error_code) == ("undelivered", 30007)


def test_twilios_own_answers_pass(account: Account) -> None:
    account.control.settings(sms_filters=[{"code": 30007, "every": 1}])
    account.customer("STOP")
    account.control.advance(5)
    messages = account.client.api.v2010.accounts(account.settings["account_sid"]).messages
    assert [str(one.status) for one in messages.list(to=CUSTOMER)] == ["delivered"]


@pytest.mark.parametrize(
    ("clock", "held"), [("20:59", False), ("21:00", True), ("03:00", True), ("07:59", True), ("08:00", False)]
)
def test_quiet_hours(account: Account, clock: str, held: bool) -> None:
    """In a zone without daylight saving time, seven hours behind."""
    account.control.settings(sms_filters=[{"code": 30610, "hours": "21:00-08:00", "zone": "America/Phoenix"}])
    now = datetime.fromisoformat(account.control.clock()["now"])
    hour, minute = map(int, clock.split(":"))
    wanted = now.replace(hour=hour, minute=minute, second=30) + timedelta(days=1, hours=7)
    account.control.advance((wanted - now).total_seconds())
    send(account)
    assert fates(account) == [("failed", 30610) if held else ("delivered", None)]


@pytest.mark.parametrize(
    "rule",
    [
        "30007", {}, {"code": "30007"}, {"code": 30007, "evry": 5}, {"code": 30007, "every": 0},
        {"code": 30007, "share": 2}, {"code": 30007, "status": "lost"}, {"code": 30007, "body": "("},
        {"code": 30610, "hours": "late"}, {"code": 30610, "zone": "Mars/Olympus"},
    ],
)  # fmt: skip
def test_a_rule_that_is_none(account: Account, rule: Any) -> None:
    with pytest.raises(ControlError):
        account.control.settings(sms_filters=[rule])
    assert account.control.settings()["sms_filters"] == []
