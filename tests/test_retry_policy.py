"""When a failed task is tried again."""

from __future__ import annotations

from datetime import timedelta

import pytest
from airflow.sdk import RetryAction

from flexsms.core.exceptions import (
    ChannelsFailed,
    InvalidInput,
    NotAuthorized,
    PermanentError,
    RateLimited,
    SendInProgress,
    UndecidedSend,
)
from flexsms.retry_policy import TASK_DEFAULTS, FlexRetryPolicy


@pytest.mark.parametrize(
    "error",
    [
        InvalidInput("body", "is empty", "write one"),
        NotAuthorized("no"),
        UndecidedSend("perhaps"),
        PermanentError("no"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_trying_again_cannot_change_fails_at_once(error: Exception) -> None:
    decision = FlexRetryPolicy().evaluate(error, try_number=1, max_tries=4)
    assert decision.action is RetryAction.FAIL
    assert type(error).__name__ in (decision.reason or "")


@pytest.mark.parametrize(("try_number", "seconds"), [(1, 20), (2, 40), (3, 80), (9, 900)])
def test_the_delay_grows(try_number: int, seconds: float) -> None:
    decision = FlexRetryPolicy().evaluate(SendInProgress("wait"), try_number=try_number, max_tries=9)
    assert decision.action is RetryAction.RETRY
    assert decision.retry_delay == timedelta(seconds=seconds)


@pytest.mark.parametrize(("asked", "seconds"), [(None, 20), (3, 20), (75, 75), (10_000, 900)])
def test_twilio_may_ask_for_more(asked: float | None, seconds: float) -> None:
    error = RateLimited("slow down", status=429, retry_after=asked)
    assert FlexRetryPolicy().evaluate(error, 1, 4).retry_delay == timedelta(seconds=seconds)


def test_a_batch_with_failures_is_tried_again() -> None:
    assert FlexRetryPolicy().evaluate(ChannelsFailed("1 of 2"), 1, 4).action is RetryAction.RETRY


@pytest.mark.parametrize("error", [TimeoutError(), KeyError("x"), SystemExit()])
def test_what_is_not_ours_is_up_to_the_task(error: BaseException) -> None:
    assert FlexRetryPolicy().evaluate(error, 1, 4).action is RetryAction.DEFAULT


def test_it_survives_serialization() -> None:
    policy = FlexRetryPolicy(first_delay_s=1, max_delay_s=2)
    assert FlexRetryPolicy.deserialize(policy.serialize()) == policy
    assert isinstance(TASK_DEFAULTS["retry_policy"], FlexRetryPolicy)
