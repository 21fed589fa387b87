"""What a batch says of a text that has not left."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import cast

import pytest

from flexsms.core.broadcast import BroadcastResult, BroadcastText, Outcome
from flexsms.core.exceptions import FlexSmsError, InvalidInput, ServiceUnavailable
from flexsms.twilio.broadcast.campaign import Campaign
from flexsms.twilio.broadcast.outcomes import BatchOutcomes


@pytest.mark.parametrize(
    ("error", "may_retry"),
    [(ServiceUnavailable("Flex is busy."), True), (InvalidInput("body", "is too long", "shorten it"), False)],
)
def test_whether_another_try_may_send_it_is_told(error: FlexSmsError, may_retry: bool) -> None:
    told: list[BroadcastResult] = []
    outcomes = BatchOutcomes(
        cast("Campaign", None), run="dag/run", now=lambda: datetime(2026, 1, 5, tzinfo=UTC), tell=told.append
    )
    outcomes.failed(BroadcastText(1, "+14155550100", "+14155550201", "Hello"), error)
    assert [(one.outcome, one.may_retry) for one in told] == [(Outcome.FAILED, may_retry)]
