"""One recipient of a broadcast: a row of a list, checked, with the text that they get."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from functools import cache, lru_cache
from typing import Any, NamedTuple

from flexsms.core.exceptions import InvalidInput
from flexsms.core.message_fields import MessageFields, is_empty
from flexsms.core.outbound_message import (
    MAX_BODY_CHARACTERS,
    Segments,
    count_segments,
    first_outside_gsm7,
)
from flexsms.core.phone_numbers import ReadNumber, read_number
from flexsms.core.redaction import mask_number
from flexsms.core.sending_hours import parse_zone, zones_of_read
from flexsms.core.validation import parse_text, parse_visible

# https://www.twilio.com/docs/proxy/api/participant
MAX_NAME_CHARACTERS = 255
TO_NUMBER, TO_NAME, ZONE = COLUMNS = ("to_number", "to_name", "zone")


class Recipient(NamedTuple):
    """Who is texted what.

    :param number: E.164
    :param body: rendered
    :param zones: IANA names, those in which the recipient can be
    :param country: ISO 3166, empty where nobody knows
    :param unusual: the character that makes the text UCS-2, empty where none does
    """

    number: str
    name: str
    body: str
    zones: tuple[str, ...]
    country: str
    segments: Segments
    unusual: str


def parse_recipient(values: Mapping[str, Any], body: MessageFields) -> Recipient:
    """Check a row.

    :param values: by the name of the column
    :param body: what the row is put into
    :raises InvalidInput: naming the first column that is wrong, and what to do about it
    """
    read = _mobile(_text(TO_NUMBER, values))
    name = parse_visible(TO_NAME, _text(TO_NAME, values))
    if len(name) > MAX_NAME_CHARACTERS:
        remedy = f"shorten it to {MAX_NAME_CHARACTERS}, the most Twilio takes"
        raise InvalidInput(TO_NAME, f"has {len(name)} characters", remedy)
    text = body.render(values).strip()
    if not text:
        raise InvalidInput("body", "is empty", "give the fields a value")
    if len(text) > MAX_BODY_CHARACTERS:
        remedy = f"shorten it to {MAX_BODY_CHARACTERS}, the most Twilio takes"
        raise InvalidInput("body", f"has {len(text)} characters", remedy)
    zone = parse_text(ZONE, _text(ZONE, values))
    zones = (parse_zone(ZONE, zone),) if zone else zones_of_read(read)
    if not zones:
        problem = f"is empty, and nobody knows where {mask_number(read.e164)} is"
        raise InvalidInput(ZONE, problem, "give an IANA name like 'Europe/Berlin'")
    segments = count_segments(text)
    unusual = "" if segments.encoding == "GSM-7" else first_outside_gsm7(text)
    return Recipient(read.e164, name, text, zones, _country(read), segments, unusual)


def check_columns(columns: Collection[str], body: MessageFields) -> None:
    """Make sure that a list has the columns that it needs, under their right names.

    :raises InvalidInput: naming the nearest right name
    """
    for column in columns:
        for name in COLUMNS:
            if column != name and _letters(column) == _letters(name) and column not in body.names:
                raise InvalidInput("recipients", f"has a column {column!r}", f"call it {name}")
    if TO_NUMBER not in columns:
        like = get_close_matches(TO_NUMBER, sorted(columns), n=1)
        remedy = f"call {like[0]!r} so" if like else "call the one with the phone numbers so"
        raise InvalidInput("recipients", f"has no column {TO_NUMBER}", remedy)
    body.check_columns(columns)


@lru_cache(maxsize=1024)
def told_character(character: str) -> str:
    """A character for a person who may not see it: its code and its name; empty for none."""
    if not character:
        return ""
    name = unicodedata.name(character, "")
    return f"U+{ord(character):04X}{f' {name}' if name else ''}"


def _text(name: str, values: Mapping[str, Any]) -> str | None:
    value = values.get(name)
    if isinstance(value, str):
        return value
    if is_empty(value):
        return None
    remedy = "write it in quotes; in a query, cast it to text"
    raise InvalidInput(name, f"is {type(value).__name__}, not text", remedy)


def _mobile(value: str | None) -> ReadNumber:
    read = read_number(TO_NUMBER, value)
    kind = _kinds_without_texts().get(read.kind)
    if kind:
        problem = f"{mask_number(read.e164)} is {kind}, which gets no texts"
        raise InvalidInput(TO_NUMBER, problem, "give a mobile number")
    return read


@cache
def _kinds_without_texts() -> Mapping[int, str]:
    from phonenumbers import PhoneNumberType  # large, and every DAG imports core

    return {
        PhoneNumberType.FIXED_LINE: "a fixed line",
        PhoneNumberType.TOLL_FREE: "a toll-free number",
        PhoneNumberType.PREMIUM_RATE: "a premium-rate number",
        PhoneNumberType.SHARED_COST: "a shared-cost number",
        PhoneNumberType.UAN: "a company's number",
        PhoneNumberType.PAGER: "a pager",
        PhoneNumberType.VOICEMAIL: "a voice mailbox",
    }


def _country(read: ReadNumber) -> str:
    """ISO 3166. Of the countries that share +1, the area code alone says which it is."""
    area = read.e164[:5] if read.e164.startswith("+1") else ""
    country = _COUNTRY_OF_AREA.get(area)
    if country is None:
        from phonenumbers import region_code_for_number  # large, and every DAG imports core

        country = region_code_for_number(read.number) or ""
        if area and country:
            _COUNTRY_OF_AREA[area] = country
    return country


_COUNTRY_OF_AREA: dict[str, str] = {}


def _letters(column: str) -> str:
    return "".join(sign for sign in column.lower() if sign.isalnum())
