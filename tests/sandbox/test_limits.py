"""The documented rate limits: a burst is answered until its bucket is empty, then 429, then again."""

from __future__ import annotations

import time
from typing import Any

import pytest
from twilio.base.exceptions import TwilioException, TwilioRestException

from tests.sandbox.conftest import Account, refused


@pytest.fixture
def limited(account: Account) -> Account:
    account.control.settings(rate_limits="documented")
    return account


def until_refused(call: Any, rate: float, most: int = 2_000) -> tuple[float, int | None]:
    """How many calls succeeded at once before the first 429, and its code.

    What the bucket got back while we called, at `rate` per second, does not count: it is more on a slow machine.
    """
    began = time.monotonic()
    for n in range(most):
        try:
            call()
        except TwilioRestException as error:
            if error.status != 429:
                raise
            return n - rate * (time.monotonic() - began), error.code
    raise AssertionError(f"never refused in {most} calls")


def test_flex(limited: Account) -> None:
    flow = limited.flex.flex_flow(limited.settings["flex_flow_sids"]["task"])
    passed, code = until_refused(flow.fetch, rate=2)
    assert (round(passed), code) == (2, 20429)
    time.sleep(0.55)
    assert flow.fetch()
    for _ in range(10):
        limited.flex.flex_flow.list()
    with pytest.raises(TwilioException):
        [limited.flex.flex_flow.list() for _ in range(1_000)]


def test_proxy(limited: Account) -> None:
    session = limited.open_session(limited.open_channel().sid)
    one = limited.proxy.sessions(session.sid)
    passed, code = until_refused(one.fetch, rate=30)
    assert 145 <= passed <= 151
    assert code == 20429
    # Another endpoint of the service has a bucket of its own.
    assert one.update(ttl=60)


def test_sync(limited: Account) -> None:
    limited.sync.documents.create(unique_name="a")
    limited.sync.documents.create(unique_name="b")
    passed, code = until_refused(lambda: limited.sync.documents("a").update(data={}), rate=20)
    assert 195 <= passed <= 201
    assert code == 54009
    assert limited.sync.documents("b").update(data={})
    large = {"x": "y" * 11_000}
    passed, code = until_refused(lambda: limited.sync.documents("b").update(data=large), rate=2)
    assert 19 <= passed <= 21


def test_evaluate_task_attributes(limited: Account) -> None:
    def evaluate() -> None:
        limited.workspace.tasks.list(evaluate_task_attributes='a == "b"')

    for _ in range(3):
        evaluate()
    with pytest.raises(TwilioException) as caught:
        evaluate()
    assert caught.value.args[1].status_code == 429
    assert limited.workspace.tasks.list() == []


def test_a_refused_request_is_not_processed(limited: Account) -> None:
    limited.control.settings(rate_limits="documented")
    create = limited.flex.flex_flow.create
    flow = {
        "friendly_name": "x", "chat_service_sid": limited.settings["chat_service_sid"], "channel_type": "sms",
        "integration_type": "studio", "integration_flow_sid": "FW" + "0" * 32,
    }  # fmt: skip
    create(**flow)
    create(**flow)
    assert refused(create, **flow) == (429, 20429)
    assert len(limited.control.state()["tables"]["flows"]) == 6
