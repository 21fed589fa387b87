"""The SMS behind a message of either generation, as Programmable Messaging shows it."""

from __future__ import annotations

from typing import Any

import pytest
from twilio.base.exceptions import TwilioException

from tests.sandbox.conftest import CUSTOMER, Account, refused


def chat(account: Account) -> None:
    channel = account.open_channel()
    account.open_session(channel.sid)
    account.chat.channels(channel.sid).messages.create(body="Hello")


def conversation(account: Account) -> None:
    account.conversations.conversations(account.open_conversation().sid).messages.create(body="Hello")


def sms(account: Account) -> Any:
    (text,) = account.control.outbox()
    return account.client.api.v2010.accounts(account.settings["account_sid"]).messages(text["sid"]).fetch()


@pytest.mark.parametrize("write", [chat, conversation])
def test_a_text_moves_and_says_why_it_did_not_arrive(account: Account, write: Any) -> None:
    account.control.settings(sms_outcomes={CUSTOMER: {"status": "undelivered", "error_code": 30003}})
    write(account)
    seen = []
    for _ in range(3):
        seen.append(sms(account))
        account.control.advance(1)
    assert [(one.status, one.error_code) for one in seen] == [
        ("queued", None), ("sent", None), ("undelivered", 30003),
    ]  # fmt: skip
    assert [one.date_sent is not None for one in seen] == [False, True, True]
    found = seen[-1]
    assert (found.to, found.body, found.direction) == (CUSTOMER, "Hello", "outbound-api")


def test_what_is_no_message_of_the_account(account: Account) -> None:
    chat(account)
    (text,) = account.control.outbox()
    messages = account.client.api.v2010.accounts(account.settings["account_sid"]).messages
    assert refused(messages("SM" + "0" * 32).fetch) == (404, 20404)
    other = account.client.api.v2010.accounts("AC" + "0" * 32).messages(text["sid"])
    assert refused(other.fetch) == (404, 20404)


def test_a_text_of_no_conversation(account: Account) -> None:
    messages = account.client.api.v2010.accounts(account.settings["account_sid"]).messages
    made = messages.create(to=CUSTOMER, from_=account.number, body="Hello")
    account.control.advance(5)
    assert [str(made.status), str(messages(made.sid).fetch().status)] == ["queued", "delivered"]
    [text] = account.control.outbox()
    assert (text["to"], text["body"], text["channel_sid"]) == (CUSTOMER, "Hello", None)


def test_what_stands_against_a_text_is_told_at_once(account: Account) -> None:
    messages = account.client.api.v2010.accounts(account.settings["account_sid"]).messages
    text = {"to": CUSTOMER, "from_": account.number, "body": "Hello"}
    for wrong, code in (
        ({"to": "4155550199"}, 21211),
        ({"from_": "+14155559999"}, 21606),
        ({"body": "x" * 1601}, 21617),
        ({"body": ""}, 20001),
    ):
        assert refused(lambda wrong=wrong: messages.create(**{**text, **wrong})) == (400, code)
    account.control.customer(CUSTOMER, account.number, "STOP")
    assert refused(lambda: messages.create(**text)) == (400, 21610)
    other = account.client.api.v2010.accounts("AC" + "0" * 32).messages
    assert refused(lambda: other.create(**text)) == (404, 20404)
    assert account.control.outbox() == []


def test_numbers_of_the_account(account: Account) -> None:
    numbers = account.client.api.v2010.accounts(account.settings["account_sid"]).incoming_phone_numbers
    assert {one.phone_number for one in numbers.list()} == set(account.settings["numbers"].values())
    account.control.settings(voice_only=[account.number])
    [found] = numbers.list(phone_number=account.number)
    capabilities: Any = found.capabilities
    assert (found.phone_number, capabilities["sms"]) == (account.number, False)
    assert numbers.list(phone_number="+19999999999") == []
    messages = account.client.api.v2010.accounts(account.settings["account_sid"]).messages
    assert refused(lambda: messages.create(to=CUSTOMER, from_=account.number, body="Hello")) == (400, 21606)
    with pytest.raises(TwilioException, match="20404"):
        account.client.api.v2010.accounts("AC" + "0" * 32).incoming_phone_numbers.list()
