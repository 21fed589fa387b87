"""What the page of the handsets is told. How it looks in a browser: tests/e2e/test_handsets.py."""

from __future__ import annotations

from typing import Any

import pytest
import requests  # noqa: TID251 (what a browser asks for)

from tests.sandbox.conftest import CUSTOMER, Account

OTHER = "+14155550143"


def news(account: Account, **asked: Any) -> dict[str, Any]:
    found: dict[str, Any] = account.control.call("POST", "handsets", asked)
    return found


def test_the_newest_text_comes_first(account: Account) -> None:
    assert news(account)["handsets"] == []
    account.customer("Hello?")
    account.control.advance(60)
    account.customer("Good morning " * 20, OTHER, account.conversations_number)
    found = news(account)
    assert [(one["number"], one["inbound"]) for one in found["handsets"]] == [(OTHER, True), (CUSTOMER, True)]
    assert (found["count"], found["thread"]) == (2, [])
    assert [len(one["body"]) for one in found["handsets"]] == [80, 6]
    assert set(found["numbers"]) == {account.number, account.conversations_number, "+14155550101"}
    account.control.advance(60)
    account.customer("Still there?")
    assert [one["number"] for one in news(account)["handsets"]] == [CUSTOMER, OTHER]


def test_a_thread_has_both_directions_and_what_became_of_each(account: Account) -> None:
    task_sid = account.customer("Hello?")["task_sid"]
    account.control.agent("write", task_sid=task_sid, body="Good morning")
    account.control.advance(5)
    account.customer("STOP")
    account.control.agent("write", task_sid=task_sid, body="Are you there?")
    found = news(account, handset=CUSTOMER)
    assert [
        (one["body"], one["inbound"], one["reply"], one["status"], one["code"]) for one in found["thread"]
    ] == [
        ("Hello?", True, False, "received", None),
        ("Good morning", False, False, "delivered", None),
        ("STOP", True, False, "received", None),
        (found["thread"][3]["body"], False, True, "queued", None),
        ("Are you there?", False, False, "failed", 21610),
    ]
    assert {one["number"] for one in found["thread"]} == {account.number}
    assert [one["out"] for one in found["handsets"]] == [True]
    account.customer("START")
    assert [one["out"] for one in news(account)["handsets"]] == [False]


def test_nothing_is_told_twice(account: Account) -> None:
    account.customer("Hello?")
    version = news(account)["version"]
    assert news(account, after=version) == {"version": version}
    account.control.agent("write", channel_sid=account.customer("And?")["channel_sid"], body="Hello")
    written = news(account, after=version)
    assert written["version"] != version
    account.control.advance(1)
    assert news(account, after=written["version"])["handsets"]
    version = news(account)["version"]
    account.control.reset()
    assert news(account, after=version)["handsets"] == []


def test_among_many_they_are_found_by_their_last_digits(account: Account) -> None:
    messages = account.client.api.v2010.accounts(account.settings["account_sid"]).messages
    for n in range(203):
        messages.create(to=f"+1415555{1000 + n}", from_=account.number, body="Hello")
    found = news(account)
    assert (len(found["handsets"]), found["count"]) == (200, 203)
    assert found["handsets"][0]["number"] == "+14155551202"
    found = news(account, find="1001")
    assert ([one["number"] for one in found["handsets"]], found["count"]) == (["+14155551001"], 1)
    assert news(account, find="9999")["count"] == 0


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("handsets", "text/html; charset=utf-8"), ("handsets/", "text/html; charset=utf-8"),
        ("handsets/handsets.css", "text/css"), ("handsets/handsets.js", "text/javascript"),
    ],
)  # fmt: skip
def test_the_page_loads_nothing_from_elsewhere(account: Account, path: str, content_type: str) -> None:
    answer = requests.get(f"{account.control.base_url}/_sandbox/{path}", timeout=5)
    assert (answer.status_code, answer.headers["content-type"]) == (200, content_type)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "http:" not in answer.text.replace("http://www.w3.org", "")
    assert "https:" not in answer.text


def test_no_other_file_is_handed_out(account: Account) -> None:
    for path in (
        "handsets/index.html",
        "handsets/../handsets.py",
        "handsets/%2e%2e/routes.py",
        "handsets/none.js",
    ):
        answer = requests.get(f"{account.control.base_url}/_sandbox/{path}", timeout=5)
        assert answer.status_code == 404, path
