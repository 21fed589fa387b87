"""What may be sent, and how it is counted."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexsms.core.exceptions import InvalidInput
from flexsms.core.outbound_message import (
    MAX_BODY_CHARACTERS,
    OutboundMessage,
    Route,
    Segments,
    count_segments,
)

FROM, TO = "+14155550100", "+14155550101"


def parse(**changes: Any) -> OutboundMessage:
    return OutboundMessage.parse(**{"from_number": FROM, "to_number": TO, "body": "Hello", **changes})


def test_numbers_are_normalised_and_never_shown() -> None:
    message = parse(to_number=" +1 (415) 555-0101 ")
    assert message.to_number == TO
    assert "555" not in repr(message)
    assert "Hello" not in repr(message)


def test_the_numbers_of_twilios_test_credentials_are_taken() -> None:
    """https://www.twilio.com/docs/iam/test-credentials"""
    message = parse(from_number="+15005550006", to_number="+15005550009")
    assert (message.from_number, message.to_number, message.remarks()) == ("+15005550006", "+15005550009", [])


def test_an_agent_may_write_first() -> None:
    message = parse(body=None)
    assert (message.route, message.body, message.segments) == (Route.AGENT, "", Segments("GSM-7", 0))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("a" * 160, Segments("GSM-7", 1)),
        ("a" * 161, Segments("GSM-7", 2)),
        ("a" * 306, Segments("GSM-7", 2)),
        ("a" * 307, Segments("GSM-7", 3)),
        ("€" * 80, Segments("GSM-7", 1)),
        ("€" * 81, Segments("GSM-7", 2)),
        ("a" * 152 + "€" + "a" * 10, Segments("GSM-7", 2)),
        ("a" * 153 + "€" + "a" * 10, Segments("GSM-7", 2)),
        ("\f" * 80, Segments("GSM-7", 1)),
        ("|" * 81, Segments("GSM-7", 2)),
        ("a" * 151 + "€" + "a" * 153, Segments("GSM-7", 2)),
        ("a" * 152 + "€" + "a" * 153, Segments("GSM-7", 3)),
        ("It’s 5 o’clock – call…", Segments("UCS-2", 1)),
        ("`", Segments("UCS-2", 1)),
        ("я" * 70, Segments("UCS-2", 1)),
        ("я" * 71, Segments("UCS-2", 2)),
        ("🙂" * 35, Segments("UCS-2", 1)),
        ("🙂" * 36, Segments("UCS-2", 2)),
        ("🙂" * 67, Segments("UCS-2", 3)),
    ],
)
def test_segments(body: str, expected: Segments) -> None:
    assert count_segments(body) == expected


@given(st.text(max_size=400))
def test_a_longer_text_never_costs_fewer_segments(body: str) -> None:
    assert count_segments(body + "a").count >= count_segments(body).count


def test_the_fingerprint_tells_texts_apart() -> None:
    mark = parse().fingerprint("s")
    assert parse(to_name="Ada").is_text_of(mark, "s")
    for other in (parse(body="Hello!"), parse(to_number="+14155550102"), parse(route="studio")):
        assert not other.is_text_of(mark, "s")


def test_a_fingerprint_cannot_be_found_by_trying_all_numbers() -> None:
    found = hashlib.sha256(
        json.dumps(["agent", "+14155550100", "+14155550199", "Hello"]).encode()
    ).hexdigest()
    assert found[:32] not in parse().fingerprint("s")
    assert parse().fingerprint("s") != parse().fingerprint("t")


def test_a_fingerprint_of_before_a_rotation_is_taken_for_the_same_text() -> None:
    # A text that left must not leave again because a key was rotated.
    assert parse(body="Whatever").is_text_of(parse().fingerprint("old"), "new")


def test_a_fingerprint_of_an_earlier_version_is_understood() -> None:
    message = parse()
    material = json.dumps([message.route, message.from_number, message.to_number, message.body])
    plain = hashlib.sha256(material.encode()).hexdigest()[:32]
    assert message.is_text_of(plain, "s")
    assert not parse(body="Hello!").is_text_of(plain, "s")


def test_a_row_is_its_numbers_and_its_text() -> None:
    key = parse().row_key("dag/run/send")
    assert key == parse(to_name="Ada", task_attributes={"vip": True}, to_number="+1 415 555 0101").row_key(
        "dag/run/send"
    )
    others = [
        parse(body="Hello!").row_key("dag/run/send"),
        parse(to_number="+14155550102").row_key("dag/run/send"),
        parse(from_number="+14155550102").row_key("dag/run/send"),
        parse().row_key("dag/run2/send"),
    ]
    assert len({key, *others}) == 5
    assert not {FROM[1:], TO[1:]} & set(re.findall(r"\d+", key))


def test_the_key_of_a_row_is_slow_to_try() -> None:
    """A hundred thousand rounds at least: all numbers of a country are no more than some ten thousand million."""
    row = json.dumps([FROM, TO, "Hello"]).encode()
    key = parse().row_key("t").rpartition("/")[2]
    assert key == hashlib.pbkdf2_hmac("sha256", row, b"t", 600_000).hex()


def test_without_a_name_agents_see_the_last_four_digits() -> None:
    assert parse(to_number="+14155550199").routing_attributes()["name"] == "…0199"
    assert parse(to_name="Ada").routing_attributes()["name"] == "Ada"


def test_the_longest_body_is_taken() -> None:
    assert len(parse(body="x" * MAX_BODY_CHARACTERS).body) == MAX_BODY_CHARACTERS


def test_everything_optional_is_kept() -> None:
    message = parse(
        target_worker_sid="WK" + "1" * 32,
        source_channel_sid="CH" + "2" * 32,
        task_attributes={"vip": True},
        to_name=" Ada ",
    )
    assert message.target_worker_sid == "WK" + "1" * 32
    assert message.source_channel_sid == "CH" + "2" * 32
    assert message.task_attributes == {"vip": True}
    assert message.to_name == "Ada"


def test_a_wrong_number_is_named_by_its_last_digits_only() -> None:
    with pytest.raises(InvalidInput) as caught:
        parse(to_number="+155555550199")
    assert "…0199" in str(caught.value)
    assert "55555" not in str(caught.value)


def test_half_an_emoji_is_refused_before_anything_is_made() -> None:
    with pytest.raises(InvalidInput, match="body: holds half an emoji"):
        OutboundMessage.parse(from_number=FROM, to_number="+14155550142", body="Hi \ud83d")
    whole = OutboundMessage.parse(from_number=FROM, to_number="+14155550142", body="Hi \U0001f600")
    assert whole.body == "Hi \U0001f600"
