"""Messages of a conversation: which become texts, and what their receipts say."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.conftest import CUSTOMER, Account, refused


@pytest.fixture
def one(account: Account) -> Any:
    return account.conversations.conversations(account.open_conversation().sid)


def statuses(one: Any, message: Any) -> list[tuple[str, int]]:
    return [(row.status, row.error_code) for row in one.messages(message.sid).delivery_receipts.list()]


def test_a_message_becomes_a_text_with_a_receipt_that_moves(account: Account, one: Any) -> None:
    message = one.messages.create(body="Hello Ada")
    assert (message.author, message.index, message.participant_sid) == ("system", 0, None)
    (text,) = account.control.outbox()
    assert (text["to"], text["from"], text["body"]) == (CUSTOMER, account.conversations_number, "Hello Ada")
    assert (text["message_sid"], text["channel_sid"], text["session_sid"]) == (
        message.sid, message.conversation_sid, None,
    )  # fmt: skip
    seen = [statuses(one, message)]
    for _ in range(2):
        account.control.advance(1)
        seen.append(statuses(one, message))
    assert seen == [[], [("sent", 0)], [("delivered", 0)]]
    (receipt,) = one.messages(message.sid).delivery_receipts.list()
    (member,) = one.participants.list()
    assert (receipt.participant_sid, receipt.channel_message_sid) == (member.sid, text["sid"])
    assert one.messages(message.sid).delivery_receipts(receipt.sid).fetch().status == "delivered"
    delivery = one.messages(message.sid).fetch().delivery
    assert (delivery["total"], delivery["sent"], delivery["delivered"], delivery["failed"]) == (
        1, "all", "all", "none",
    )  # fmt: skip


def test_what_the_customer_writes_is_no_text_to_the_customer(account: Account, one: Any) -> None:
    account.customer("Hello", number=account.conversations_number)
    one.messages.create(body="Me again", author=CUSTOMER)
    assert account.control.outbox() == []
    first, second = one.messages.list()
    assert first.participant_sid == second.participant_sid == one.participants.list()[0].sid
    assert first.delivery is None
    assert statuses(one, first) == []


def test_nobody_to_text(account: Account) -> None:
    lonely = account.conversations.conversations.create()
    assert account.conversations.conversations(lonely.sid).messages.create(body="Anybody?").delivery is None
    assert account.control.outbox() == []


@pytest.mark.parametrize(("status", "code"), [("undelivered", 30003), ("failed", 30034)])
def test_numbers_that_cannot_be_reached(account: Account, one: Any, status: str, code: int) -> None:
    account.control.settings(sms_outcomes={CUSTOMER: {"status": status, "error_code": code}})
    message = one.messages.create(body="Hello")
    account.control.advance(2)
    assert statuses(one, message) == [(status, code)]
    assert one.messages(message.sid).fetch().delivery[status] == "all"


def test_stop_and_start(account: Account, one: Any) -> None:
    number = account.conversations_number
    stopped = account.customer("Stop", number=number)
    assert (stopped["outcome"], stopped["task_sid"]) == ("conversation", None)
    refused_one = one.messages.create(body="Are you there?")
    assert statuses(one, refused_one) == [("failed", 21610)]
    account.customer("start", number=number)
    assert statuses(one, one.messages.create(body="Welcome back")) == []
    assert account.customer("STOP", "+14155550177", number)["outcome"] == "opted_out"


def test_lists_both_ways(account: Account, one: Any) -> None:
    made = [one.messages.create(body=str(n), author="grace", attributes='{"n": 1}').sid for n in range(5)]
    assert [row.sid for row in one.messages.list(page_size=2)] == made
    assert [row.sid for row in one.messages.list(order="desc", page_size=2)] == made[::-1]
    assert [row.sid for row in one.messages.list(order="desc", limit=1)] == made[-1:]
    assert one.messages(made[0]).fetch().attributes == '{"n": 1}'


def test_what_is_no_message(account: Account, one: Any) -> None:
    assert refused(one.messages.create) == (400, 50503)
    assert refused(one.messages.create, body="x" * 1601) == (400, 20001)
    assert refused(one.messages("IM" + "0" * 32).fetch) == (404, 20404)
    message = one.messages.create(body="x")
    receipts = one.messages(message.sid).delivery_receipts
    assert refused(receipts("DY" + "0" * 32).fetch) == (404, 20404)
