"""STOP, START and HELP: what Twilio answers, whom it texts no more, and where such a word ends."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.conftest import CUSTOMER, Account, refused

OTHER = "+14155550143"
WORDS = ["STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"]


def messages(account: Account) -> Any:
    return account.client.api.v2010.accounts(account.settings["account_sid"]).messages


def send(account: Account, to: str = CUSTOMER, number: str | None = None) -> Any:
    return messages(account).create(to=to, from_=number or account.number, body="Hello")


def replies(account: Account, to: str = CUSTOMER) -> list[str]:
    return [one.body for one in messages(account).list(to=to) if str(one.direction) == "outbound-reply"]


@pytest.mark.parametrize("word", WORDS)
def test_each_word_opts_out_of_one_number(account: Account, word: str) -> None:
    assert account.customer(f" {word.title()}\n")["outcome"] == "opted_out"
    assert refused(lambda: send(account)) == (400, 21610)
    send(account, number=account.conversations_number)
    send(account, OTHER)


@pytest.mark.parametrize("word", ["START", "yes", "Unstop"])
def test_each_word_opts_in(account: Account, word: str) -> None:
    account.customer("STOP")
    assert account.customer(word)["outcome"] == "opted_in"
    assert send(account).error_code is None


def test_only_the_whole_text_is_a_word(account: Account) -> None:
    assert account.customer("STOP it please")["outcome"] == "started"
    send(account)
    assert replies(account) == []


def test_twilio_answers_and_the_outbox_does_not_have_it(account: Account) -> None:
    for word in ("HELP", "STOP", "stop", "INFO", "START", "START"):
        account.customer(word)
        account.control.advance(5)
    found = [one for one in messages(account).list() if str(one.direction) == "outbound-reply"][::-1]
    assert [("HELP" in one.body, "START" in one.body) for one in found] == [
        (False, True), (False, True), (True, False),
    ]  # fmt: skip
    assert {str(one.status) for one in found} == {"delivered"}
    written = [one.body for one in messages(account).list(from_=CUSTOMER)]
    assert written == ["START", "START", "INFO", "stop", "STOP", "HELP"]
    assert account.control.outbox() == []


def test_a_yes_from_who_is_not_out_is_an_answer(account: Account) -> None:
    first = account.customer("YES")
    assert (first["outcome"], first["task_sid"] is not None) == ("started", True)
    assert account.customer("Help", OTHER)["task_sid"]
    assert (replies(account), len(replies(account, OTHER))) == ([], 1)


def test_proxy_keeps_stop_from_its_sessions(account: Account) -> None:
    channel = account.open_channel()
    account.open_session(channel.sid)
    for word in ("STOP", "UNSTOP", "QUIT", "START", "INFO"):
        account.customer(word)
    assert [one.body for one in account.chat.channels(channel.sid).messages.list()] == ["START", "INFO"]
    assert account.customer("UNSTOP") == {**account.customer("UNSTOP"), "channel_sid": None}


@pytest.mark.parametrize("reaches", [True, False])
def test_whether_a_conversation_gets_it(account: Account, reaches: bool) -> None:
    account.control.settings(stop_reaches_conversation=reaches)
    conversation = account.open_conversation()
    found = account.customer("STOP", number=account.conversations_number)
    assert (found["outcome"], found["task_sid"]) == ("conversation" if reaches else "opted_out", None)
    one = account.conversations.conversations(conversation.sid)
    assert [row.body for row in one.messages.list()] == (["STOP"] if reaches else [])
    message = one.messages.create(body="Are you there?")
    [receipt] = one.messages(message.sid).delivery_receipts.list()
    assert (str(receipt.status), receipt.error_code) == ("failed", 21610)
