"""What the SDK makes of dates, and what we make of that."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.base import deserialize

from flexsms.twilio.account import connect
from flexsms.twilio.client.dates import _of_the_sdk, iso8601_datetime, utc
from flexsms.twilio.client.settings import TwilioSettings

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


dates = st.datetimes().map(lambda moment: f"{moment:%Y-%m-%dT%H:%M:%SZ}")
parts = st.tuples(*(st.integers(0, top).map(str) for top in (9999, 13, 32, 25, 61, 62)))
odd = parts.map(lambda part: "{}-{}-{}T{}:{}:{}Z".format(*part))
weeks = st.just("2026-W47-3T12:00:00Z")


@given(dates | odd | weeks | st.text() | st.none())
def test_a_date_is_what_the_sdk_makes_of_it(text: str) -> None:
    assert iso8601_datetime(text) == _of_the_sdk(text)


@pytest.mark.anyio
async def test_the_sdk_of_an_account_reads_its_dates_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deserialize, "iso8601_datetime", _of_the_sdk)
    settings = TwilioSettings.from_connection("AC" + "1" * 32, "secret", {})
    async with connect(settings):
        pass
    assert deserialize.iso8601_datetime("2026-11-18T12:00:00Z") == NOON
    assert deserialize.iso8601_datetime is iso8601_datetime
