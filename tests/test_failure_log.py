"""What a person and the dashboard are told of a task that fails."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from flexsms.core.exceptions import InvalidInput, TwilioRefused
from flexsms.failure_log import FAILURE, tell_failure
from tests.operators.conftest import FakeContext


class Task:
    """An operator that cannot work."""

    log = logging.getLogger("task")

    @tell_failure
    def execute(self, context: Any) -> None:
        """Fails."""
        raise InvalidInput("body", "is empty", "write one")


def test_the_sentence_is_in_the_log_and_for_the_dashboard(caplog: pytest.LogCaptureFixture) -> None:
    context = FakeContext()
    with pytest.raises(InvalidInput):
        Task().execute(context)
    assert caplog.messages == ["body: is empty; write one."]
    assert context.pushed == {FAILURE: {"error": "InvalidInput", "sentence": "body: is empty; write one."}}


def test_the_cause_comes_before_the_call_in_the_log_and_on_the_dashboard(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A person reads what is wrong, and what to do; the call is for whoever looks it up."""

    class Refused(Task):
        @tell_failure
        def execute(self, context: Any) -> None:
            call = "GET sync.twilio.com/v1/Services"
            raise TwilioRefused(f"{call}: Forbidden (20403); ask for it.", where=call, status=403)

    context = FakeContext()
    with pytest.raises(TwilioRefused):
        Refused().execute(context)
    sentence = "Forbidden (20403); ask for it (GET sync.twilio.com/v1/Services)."
    assert caplog.messages == [sentence]
    assert context.pushed[FAILURE]["sentence"] == sentence


def test_an_airflow_that_takes_no_xcom_hides_no_error() -> None:
    def refuse(*_: Any) -> None:
        raise RuntimeError("no")

    with pytest.raises(InvalidInput):
        Task().execute({"ti": SimpleNamespace(xcom_push=refuse)})


def test_another_error_is_left_to_airflow() -> None:
    class Broken(Task):
        @tell_failure
        def execute(self, context: Any) -> None:
            raise KeyError("x")

    context = FakeContext()
    with pytest.raises(KeyError):
        Broken().execute(context)
    assert context.pushed == {}
