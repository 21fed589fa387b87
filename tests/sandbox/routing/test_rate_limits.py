"""The documented rate limits: a burst is answered until its bucket is empty, then 429, then again."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import pytest
from twilio.base.exceptions import TwilioException, TwilioRestException

from tests.sandbox.conftest import Account, refused


@pytest.fixture
def limited(account: Account) -> Account:
    account.control.settings(rate_limits="documented")
    return account


@dataclass(frozen=True)
class Burst:
    """How many calls succeeded before the first 429, how long that took, and the code of the 429."""

    passed: int
    seconds: float
    code: int | None

    def empties(self, bucket: int, rate: float) -> bool:
        """Whether a bucket of this size was emptied. What it got back meanwhile is more on a slow machine."""
        return bucket <= self.passed <= bucket + rate * self.seconds


def until_refused(call: Any, most: int = 2_000) -> Burst:
    """Call until the first 429."""
    began = time.monotonic()
    for passed in range(most):
        try:
            call()
        except TwilioRestException as error:
            if error.status != 429:
                raise
            return Burst(passed, time.monotonic() - began, error.code)
    raise AssertionError(f"never refused in {most} calls")


def test_flex(limited: Account) -> None:
    flow = limited.flex.flex_flow(limited.settings["flex_flow_sids"]["task"])
    burst = until_refused(flow.fetch)
    assert burst.empties(2, rate=2)
    assert burst.code == 20429
    time.sleep(0.55)
    assert flow.fetch()
    for _ in range(10):
        limited.flex.flex_flow.list()
    with pytest.raises(TwilioException):
        [limited.flex.flex_flow.list() for _ in range(1_000)]


def test_proxy(limited: Account) -> None:
    session = limited.open_session(limited.open_channel().sid)
    one = limited.proxy.sessions(session.sid)
    burst = until_refused(one.fetch)
    assert burst.empties(150, rate=30)
    assert burst.code == 20429
    # Another endpoint of the service has a bucket of its own.
    assert one.update(ttl=60)


def test_sync(limited: Account) -> None:
    limited.sync.documents.create(unique_name="a")
    limited.sync.documents.create(unique_name="b")
    burst = until_refused(lambda: limited.sync.documents("a").update(data={}))
    assert burst.empties(200, rate=20)
    assert burst.code == 54009
    assert limited.sync.documents("b").update(data={})
    large = {"x": "y" * 11_000}
    assert until_refused(lambda: limited.sync.documents("b").update(data=large)).empties(20, rate=2)


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
