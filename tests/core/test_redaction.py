"""What hides numbers and texts, and leaves everything else as it is."""

from __future__ import annotations

import re

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexsms.core.redaction import mask_number, redact, without_quotes, without_values

SPELLINGS = [
    "14155550167",
    "4155550167",
    "(415) 555-0167",
    "415-555-0167",
    "415.555.0167",
    "1 415 555 0167",
    "1-415-555-0167",
    "1 (415) 555-0167",
    "00 1 415 555 0167",
    "0014155550167",
    "011 1 415 555 0167",
    "+1 (415) 555-0167",
    "%2B14155550167",
    "00 44 20 7946 0167",
    "020 7946 0167",
    "44 20 7946 0167",
]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The 'To' number +14155550101 is not valid", "The 'To' number …0101 is not valid"),
        ("x?Address=%2B14155550101&y=1", "x?Address=…0101&y=1"),
        ("+1 (415) 555-0101", "…0101"),
        ("at 1795020127105 in WT00000000000000000000000000000010", None),
    ],
)
def test_numbers_are_masked_and_nothing_else(text: str, expected: str | None) -> None:
    assert redact(text) == (expected or text)


def test_a_short_number_is_hidden_altogether() -> None:
    assert mask_number("1234") == "…"


@given(st.from_regex(r"\+[1-9][0-9]{7,14}", fullmatch=True), st.text(alphabet="abc xyz", max_size=10))
def test_no_number_survives(number: str, around: str) -> None:
    assert number not in redact(f"{around}{number}{around}")


@pytest.mark.parametrize("number", SPELLINGS)
@pytest.mark.parametrize(
    "around", ["{}", "to {} failed", "'{}'", "Address={}&x=1", "tel:{}", "/Calls/{}/x", "{},"]
)
def test_a_number_is_masked_in_every_spelling(number: str, around: str) -> None:
    assert redact(around.format(number)) == around.format("…0167")


KEPT = [
    "WT00000000000000000000000000000010",
    "SM1234567890abcdef1234567890abcdef",
    "123e4567-e89b-12d3-a456-426614174000",
    "2026-11-18 16:42:07",
    "2026-11-18T16:42:07.123Z",
    "2026-11-18 00:00:00",
    "18.11.2026 16:42",
    "01.02.2026 10:30",
    "Sat, 21 Nov 2026 03:00:00 GMT",
    "at 1795020127105 in WT1",
    "1795020127",
    "HTTP 404 (20404)",
    "codes 30003 30005 30006",
    "EUR 1234567.89",
    "1,234,567,890.12",
    "page 1 of 100 (1000)",
    "16 KiB (16384 bytes) of 1048576",
    "192.168.100.200, 127.0.0.1:9999",
    "0.123456789012",
]


@pytest.mark.parametrize("text", KEPT)
def test_nothing_else_is_masked(text: str) -> None:
    assert redact(text) == text
    assert redact(f"({text})") == f"({text})"


def example(region: str) -> phonenumbers.PhoneNumber:
    return phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)


# Where a national number has nine digits or more; shorter ones without any sign of a number may be anything.
REGIONS = [
    region
    for region in sorted(phonenumbers.SUPPORTED_REGIONS)
    if (number := example(region)) and len(str(number.national_number)) >= 9
]


@given(st.sampled_from(REGIONS), st.sampled_from(["+", "00", "%2B", "00 ", "011 "]), st.booleans())
def test_no_countrys_number_survives(region: str, prefix: str, spaced: bool) -> None:
    number = example(region)
    style = phonenumbers.PhoneNumberFormat.INTERNATIONAL if spaced else phonenumbers.PhoneNumberFormat.E164
    written = prefix + phonenumbers.format_number(number, style).removeprefix("+")
    told = redact(f"The number {written} is not valid (21211).")
    assert "21211" in told
    left = re.sub(r"\D", "", told.removesuffix("(21211)."))
    assert len(left) <= 4, told


@given(st.from_regex(r"[A-Z]{2}[0-9a-f]{32}", fullmatch=True))
def test_no_sid_is_touched(sid: str) -> None:
    text = f"Channel {sid} of /Channels/{sid}: '{sid}', {sid}."
    assert redact(text) == text
    assert without_values(text, [sid, "Channels of nobody"]) == text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("The 'To' number is not valid", None),
        ("'MessagingBinding.Address' and 'unique_name' are missing", None),
        ("Twilio's text wasn't sent by anybody's phone", None),
        ("Body 'Hello Ada, your results are in' is too long", "Body '…' is too long"),
        ('Name "Ada" is taken', 'Name "…" is taken'),
        ("Body 'It's me' is odd", "Body '…' is odd"),
        ("Body 'Hello Ada, your res", "Body '…'"),
        ("Friendly name “Ada Lovelace”", "Friendly name “…”"),
        (f"Conversation 'CH{'3' * 32}' is closed", None),
        (f"'Ada in CH{'3' * 32}' is closed", f"'CH{'3' * 32}' is closed"),
    ],
)
def test_what_is_quoted_goes_and_names_of_fields_and_sids_stay(text: str, told: str | None) -> None:
    assert without_quotes(text) == (told or text)


def test_what_was_sent_goes_whether_it_is_quoted_or_not() -> None:
    sent = [" Ada Lovelace ", "Hello Ada, your results are in.", "a"]
    assert without_values("Invalid body: hello ada, your results are in. (a)", sent) == "Invalid body: …. (a)"
    assert without_values("FriendlyName Ada Lovelace", sent) == "FriendlyName …"
    assert without_values("Nothing of it", sent) == "Nothing of it"
