"""One row of a list: what is taken, and which column is named."""

from __future__ import annotations

from typing import Any

import pytest

from flexsms.core.exceptions import InvalidInput
from flexsms.core.message_fields import MessageFields
from flexsms.core.outbound_message import Segments
from flexsms.core.recipient import check_columns, parse_recipient, told_character

BODY = MessageFields.parse("Hello {first_name}")


def row(**values: Any) -> dict[str, Any]:
    return {"to_number": "+14155550199", "first_name": "Ada", **values}


def test_a_row_that_is_all_right() -> None:
    found = parse_recipient(row(to_name=" Ada Lovelace "), BODY)
    assert found.number == "+14155550199"
    assert found.name == "Ada Lovelace"
    assert found.body == "Hello Ada"
    assert found.zones == ("America/Los_Angeles",)
    assert found.country == "US"
    assert found.segments == Segments("GSM-7", 1)
    assert found.unusual == ""


def test_the_zone_of_the_row_goes_before_that_of_the_number() -> None:
    assert parse_recipient(row(zone="Europe/Berlin"), BODY).zones == ("Europe/Berlin",)
    assert parse_recipient(row(zone=" "), BODY).zones == ("America/Los_Angeles",)
    assert parse_recipient(row(zone=None), BODY).zones == ("America/Los_Angeles",)
    assert parse_recipient(row(zone=float("nan")), BODY).zones == ("America/Los_Angeles",)


def test_the_character_that_makes_a_text_longer_is_told() -> None:
    found = parse_recipient(row(first_name="Zoë’s"), BODY)
    assert found.segments == Segments("UCS-2", 1)
    assert told_character(found.unusual) == "U+00EB LATIN SMALL LETTER E WITH DIAERESIS"
    assert told_character("\u200f") == "U+200F RIGHT-TO-LEFT MARK"
    assert told_character("") == ""
    assert told_character("\ue000") == "U+E000"


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"to_number": None}, "to_number: is empty"),
        ({"to_number": "4155550199"}, "to_number: has no country code"),
        ({"to_number": 14155550199}, "to_number: is int, not text; write it in quotes; in a query, cast it"),
        ({"to_number": "4.915E+12"}, "to_number: is a figure that a spreadsheet has made of it; format the"),
        ({"to_number": "4,91511E12"}, "to_number: is a figure"),
        ({"to_number": "14155550199.0"}, "to_number: is a figure"),
        ({"to_number": "Grace Brewster Hopper"}, "to_number: has letters, and is not a phone number; write"),
        ({"to_number": "=1+1"}, "to_number: has no country code"),
        (
            {"to_number": "+493012345678"},
            "to_number: …5678 is a fixed line, which gets no texts; give a mobile",
        ),
        ({"to_number": "+18005550199"}, "to_number: …0199 is a toll-free number, which gets no texts"),
        ({"to_number": "+5215512345678"}, "numbers in Mexico were until 2019"),
        ({"first_name": ""}, "first_name: is empty"),
        ({"first_name": "x" * 1595}, "body: has 1601 characters; shorten it to 1600"),
        ({"zone": "Mars"}, "zone: is not a time zone; write"),
        # What pandas has in the place of nothing.
        ({"to_number": float("nan")}, "to_number: is empty"),
        ({"to_number": "+16245550101"}, "zone: is empty, and nobody knows where …0101 is"),
        ({"to_name": "\ud83d"}, "to_name: holds half an emoji"),
        ({"to_name": "A\x00"}, "to_name: holds the control character U+0000"),
        ({"to_name": "x" * 256}, "to_name: has 256 characters; shorten it to 255"),
        ({"to_name": 7}, "to_name: is int, not text"),
    ],
)
def test_the_first_column_that_is_wrong_is_named(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        parse_recipient(row(**values), BODY)
    assert sentence in str(raised.value)
    assert "5550199" not in str(raised.value)


def test_a_number_that_no_list_knows_goes_with_a_zone() -> None:
    assert parse_recipient(row(to_number="+16245550101", zone="America/New_York"), BODY).country == ""


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        (["first_name"], "recipients: has no column to_number; call the one with the phone numbers so."),
        (["to_numbr", "first_name"], "recipients: has no column to_number; call 'to_numbr' so."),
        (["To Number", "first_name"], "recipients: has a column 'To Number'; call it to_number."),
        (["to_number", "first_name", "Zone"], "recipients: has a column 'Zone'; call it zone."),
        ([" to_number", "first_name"], "recipients: has a column ' to_number'; call it to_number."),
        (["to_number", "firstname"], "no such column; did you mean {firstname}?"),
        (["to_number", "FIRST_NAME"], "no such column; did you mean {FIRST_NAME}?"),
    ],
)
def test_names_of_columns_are_taken_strictly(columns: list[str], sentence: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        check_columns(columns, BODY)
    assert sentence in str(raised.value)


def test_a_field_of_the_body_may_have_a_name_that_is_almost_another() -> None:
    check_columns(["to_number", "Zone", "", "anything"], MessageFields.parse("Meet us in {Zone}"))
