"""Phone numbers as people write them."""

from __future__ import annotations

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexsms.core.exceptions import InvalidInput
from flexsms.core.phone_numbers import parse_number, remark

# Zero-width signs, marks of direction, a byte order mark, a soft hyphen.
UNSEEN = "\u200b\u200c\u200d\u2060\u200e\u200f\u202a\u202c\u2066\u2069\ufeff\u00ad"
FULL_WIDTH = str.maketrans("+0123456789", "＋０１２３４５６７８９")  # noqa: RUF001


@pytest.mark.parametrize("number", ["+16245550101", "+14365550101", "+16795550101", "+18615550101"])
def test_an_area_code_that_no_list_knows_yet_is_taken(number: str) -> None:
    """Overlays go into service before the metadata of phonenumbers says so; here with codes it does not know."""
    assert not phonenumbers.is_valid_number(phonenumbers.parse(number))
    assert parse_number("to_number", number) == number
    told = remark("to_number", number)
    assert told
    assert told.startswith("to_number: …0101 is in no range of numbers")
    assert number[:5] not in told


@pytest.mark.parametrize("number", ["+15005550006", "+15005550009", "+14155550101", "+551121234567"])
def test_there_is_nothing_to_say_of_a_number_that_is_known(number: str) -> None:
    """The first two are those of Twilio's test credentials."""
    assert parse_number("to_number", number) == number
    assert remark("to_number", number) is None


@pytest.mark.parametrize(
    "written",
    [
        "\u202a+1\u00a0415\u2009555\u20110101\u202c",
        "\ufeff+1\u200b4155550101",
        "+1\u00ad415\u00ad5550101\u200e",
        "＋１４１５５５５０１０１",  # noqa: RUF001
        "+1\u202f（415）\u30005550101",  # noqa: RUF001
        "\t+14155550101\r\n",
        "﹢1 415 555 ０１０１",  # noqa: RUF001
        "+1ー415ー555ｰ0101",  # the long vowel that Japanese keyboards have in the place of a dash
    ],
    ids=ascii,
)
def test_what_nobody_sees_is_left_out(written: str) -> None:
    assert parse_number("to_number", written) == "+14155550101"


@given(
    st.sampled_from(["+14155550101", "+442079460018", "+5491123456789", "+16245550101"]),
    st.lists(st.tuples(st.integers(0, 13), st.sampled_from(UNSEEN)), max_size=8),
    st.booleans(),
)
def test_whatever_is_pasted_with_a_number_it_stays_that_number(
    number: str, unseen: list[tuple[int, str]], is_wide: bool
) -> None:
    written = number.translate(FULL_WIDTH) if is_wide else number
    for position, sign in unseen:
        written = written[:position] + sign + written[position:]
    assert parse_number("to_number", written) == number


@pytest.mark.parametrize(
    ("old", "sentence"),
    [
        ("+52 1 55 1234 5678", "…5678 .* in Mexico were until 2019; leave out the 1 behind"),
        ("+55 11 6123 4567", "…4567 .* in Brazil were until 2016; put a 9 behind the area code"),
        ("+84 163 456 7890", "…7890 .* in Vietnam were until 2018; ask for"),
        ("+225 07 12 34 56", "…3456 .* in Côte d'Ivoire were until 2021; put 01, 05 or 07"),
        ("+229 61 23 45 67", "…4567 .* in Benin were until 2024; put 01 behind"),
    ],
)
def test_an_old_form_is_named_with_the_new_one(old: str, sentence: str) -> None:
    with pytest.raises(InvalidInput, match=f"^to_number: {sentence}"):
        parse_number("to_number", old)


@pytest.mark.parametrize(
    "number", ["+525512345678", "+5511961234567", "+84363456789", "+2250712345678", "+2290161234567"]
)
def test_the_new_form_is_taken(number: str) -> None:
    assert parse_number("to_number", number) == number
    assert remark("to_number", number) is None


@pytest.mark.parametrize(
    ("national", "sent"),
    [("+54 11 15 2345-6789", "+5491123456789"), ("+44 (0)20 7946 0018", "+442079460018")],
)
def test_prefixes_of_calls_at_home_are_left_out(national: str, sent: str) -> None:
    assert parse_number("to_number", national) == sent


@pytest.mark.parametrize(
    ("sender", "sentence"),
    [
        ("40404", "is a short code, and flexsms texts between phone numbers only"),
        ("+40404", "is a short code"),
        ("ACME", "is a name and no number"),
        ("Shop 24", "is a name and no number"),
        ("MG0123456789abcdef0123456789abcdef", "is a messaging service, .* give that number in E.164"),
        ("4155550101", "has no country code"),
        ("+49 30 1", "…9301 has no area code"),
    ],
)
def test_what_else_twilio_sends_from_has_its_own_sentence(sender: str, sentence: str) -> None:
    with pytest.raises(InvalidInput, match=f"^from_number: {sentence}"):
        parse_number("from_number", sender)


@pytest.mark.parametrize(
    "written",
    [
        "+49 176 1234567l",
        "+49176l2345678",
        "+49 1761234O567",
        "+4915112345678abc",
        "+1415FLOWERS",
        "+14155550101;phone-context=x",
    ],
    ids=ascii,
)
def test_a_letter_is_no_digit_and_is_not_left_out(written: str) -> None:
    """What is left of such a number may be the number of somebody else."""
    with pytest.raises(InvalidInput, match=r"^to_number: …\d{0,4} has a letter; check for an O or an l"):
        parse_number("to_number", written)


@pytest.mark.parametrize("written", ["+49 176 1234567²", "+49 176 1234567①", "+49 176 1234567½"], ids=ascii)
def test_a_footnote_is_no_digit(written: str) -> None:
    with pytest.raises(InvalidInput, match=r"^to_number: …4567 is not a phone number"):
        parse_number("to_number", written)
