"""What the SDK makes of dates, and what we make of that."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from flexsms.twilio.client.dates import utc

NOON = datetime(2026, 11, 18, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (NOON, NOON),
        (datetime(2026, 11, 18, 12), NOON),  # noqa: DTZ001 (what is tested)
        ("2026-11-18T12:00:00.000Z", NOON),
        (datetime(2026, 11, 18, 17, tzinfo=timezone(timedelta(hours=5))), NOON),
        ("noon", None),
        (None, None),
    ],
)
def test_a_date_is_aware_or_none(given: object, expected: datetime | None) -> None:
    assert utc(given) == expected
