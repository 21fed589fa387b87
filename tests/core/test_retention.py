"""The retention window, and which kinds of channels it is for."""

from __future__ import annotations

import pytest

from flexsms.core.exceptions import InvalidInput
from flexsms.core.retention import MS_PER_DAY, channel_types, window_ms


def test_the_window_may_be_a_fraction_of_a_day() -> None:
    assert window_ms(2) == 2 * MS_PER_DAY
    assert window_ms(0.5) == MS_PER_DAY // 2


@pytest.mark.parametrize(
    ("given", "kinds"),
    [("sms", {"sms"}), (" SMS, whatsapp,", {"sms", "whatsapp"}), (["web", "custom"], {"web", "custom"})],
)
def test_kinds_of_channels_are_named_by_commas_or_in_a_list(given: object, kinds: set[str]) -> None:
    assert channel_types(given) == kinds


@pytest.mark.parametrize(
    ("given", "says"),
    [("", "is empty"), ([], "is empty"), (" , ", "is empty"), ("sms; web", "names 'sms; web'"), (7, "is 7")],
)
def test_what_names_no_kind_of_channel_is_refused(given: object, says: str) -> None:
    with pytest.raises(InvalidInput, match=f"channel_types: {says}"):
        channel_types(given)
