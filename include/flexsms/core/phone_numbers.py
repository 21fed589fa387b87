"""Phone numbers as people write them, brought into E.164.

Whether a number is in service only Twilio knows: area codes go into service before any list of them says so. What has
the right length for its country is therefore taken.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from flexsms.core.exceptions import InvalidInput
from flexsms.core.redaction import mask_number

if TYPE_CHECKING:
    import phonenumbers

EXAMPLE = "+14155550100"
_LONGEST_SHORT_CODE = len("+123456")
WRITE = f"write it in E.164, like {EXAMPLE}"
# 4.915E+12 has lost digits; 4915112345678.0 has gained one.
_FIGURE = re.compile(r"\+?\d+[.,]?\d*[eE]\+?\d+|\+?\d{6,}[.,]0+")


@dataclass(frozen=True, slots=True)
class _OldForm:
    """How a country's mobile numbers were written, and how they are now."""

    pattern: str
    country: str
    until: int
    remedy: str


# Where a list of customers still holds numbers of before a country's last change, and the library that knows the
# countries does not translate them. Source: the national numbering plans that the ITU publishes,
# https://www.itu.int/oth/T0202.aspx?parent=T0202
_OLD_FORMS = (
    _OldForm(r"\+521\d{10}", "Mexico", 2019, "leave out the 1 behind +52"),
    _OldForm(r"\+55[1-9]\d[6-9]\d{7}", "Brazil", 2016, "put a 9 behind the area code"),
    _OldForm(
        r"\+84(?:12\d|16[2-9]|18[68]|199)\d{7}",
        "Vietnam",
        2018,
        "ask for the one with nine digits behind +84",
    ),
    _OldForm(r"\+225\d{8}", "Côte d'Ivoire", 2021, "put 01, 05 or 07, by its operator, behind +225"),
    _OldForm(r"\+229\d{8}", "Benin", 2024, "put 01 behind +229"),
)


class ReadNumber(NamedTuple):
    """A phone number, and what the list of the world's numbers knows of it.

    :param kind: of :class:`phonenumbers.PhoneNumberType`; unknown where it is in no range that the list knows
    """

    e164: str
    kind: int
    number: phonenumbers.PhoneNumber


def parse_number(name: str, value: str | None) -> str:
    """A phone number in E.164, as long as a number of its country can be; see :func:`read_number`."""
    return read_number(name, value).e164


def read_number(name: str, value: str | None) -> ReadNumber:
    """A phone number, as long as a number of its country can be.

    Signs that cannot be seen are left out, full-width ones are taken for what they say, and a national prefix that is
    never dialled from abroad is left out (``+44 (0)20``; Argentina's 15 becomes the 9 behind +54).

    :param name: of the field, for the error
    :raises InvalidInput: when it is none
    """
    import phonenumbers  # large, and every DAG imports this module

    text = clean(name, value)
    if not text:
        raise InvalidInput(name, "is empty", f"give a number in E.164, like {EXAMPLE}")
    if _FIGURE.fullmatch(text):
        problem = "is a figure that a spreadsheet has made of it"
        raise InvalidInput(name, problem, f"format the column as text there, and {WRITE}")
    _refuse_other_senders(name, text)
    if not text.startswith("+") and any(sign.isalpha() for sign in text):
        raise InvalidInput(name, "has letters, and is not a phone number", WRITE)
    if not text.startswith("+"):
        raise InvalidInput(name, "has no country code", WRITE)
    try:
        number = phonenumbers.parse(text)
    except phonenumbers.NumberParseException:
        raise InvalidInput(name, f"{mask_number(text)} is not a phone number", WRITE) from None
    if number.extension:
        raise InvalidInput(
            name, f"{mask_number(text)} has an extension", "give a number that can receive texts"
        )
    if any(sign.isascii() and sign.isalpha() for sign in text):
        # The library leaves these out, or takes them for the keys of a phone: either way it is another number.
        problem = f"{mask_number(text)} has a letter"
        raise InvalidInput(name, problem, f"check for an O or an l that is to be a digit, and {WRITE}")
    e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    kind = phonenumbers.number_type(number)
    if kind == phonenumbers.PhoneNumberType.UNKNOWN:
        _refuse_old_form(name, e164)
        _refuse_length(name, number, e164)
    return ReadNumber(e164, kind, number)


def remark(name: str, number: str) -> str | None:
    """What is odd about a number that was taken: it is in no range that the list of the world's numbers knows.

    :param number: E.164
    :return: a sentence; None when there is nothing odd
    """
    import phonenumbers

    if phonenumbers.is_valid_number(phonenumbers.parse(number)):
        return None
    return (
        f"{name}: {mask_number(number)} is in no range of numbers that phonenumbers {phonenumbers.__version__} knows: "
        "a new one, or a wrong digit; Twilio decides."
    )


def clean(name: str, value: str | None) -> str:
    """A number's text without what nobody sees, in plain digits and signs.

    :raises InvalidInput: when it is no text
    """
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidInput(name, f"is {type(value).__name__}, not text", "write it in quotes")
    if value.isascii() and value.isprintable():
        return value.strip()
    # Of the categories, Cf holds zero-width signs, marks of direction and soft hyphens, Cc tabs, Cs half an emoji.
    seen = (
        sign
        for given in value
        # A footnote or a fraction would become digits of the number.
        for sign in (given if unicodedata.category(given) == "No" else unicodedata.normalize("NFKC", given))
        if unicodedata.category(sign) not in ("Cf", "Cc", "Cs")
    )
    return "".join(seen).strip()


def _refuse_other_senders(name: str, text: str) -> None:
    """Name what Twilio sends from as well, but no conversation of Flex can have.

    Sources: https://www.twilio.com/docs/glossary/what-is-a-short-code,
    https://www.twilio.com/docs/glossary/what-alphanumeric-sender-id (nobody can answer one)
    """
    if text.startswith("+") and len(text) > _LONGEST_SHORT_CODE:
        return
    if re.fullmatch(r"MG[0-9a-fA-F]{32}", text):
        problem = "is a messaging service, which picks a number by itself; the answer has to come back to one number"
        raise InvalidInput(name, problem, f"give that number in E.164, like {EXAMPLE}")
    if re.fullmatch(r"\+?[1-9]\d{2,5}", text):
        raise InvalidInput(
            name,
            "is a short code, and flexsms texts between phone numbers only",
            f"give a number in E.164, like {EXAMPLE}",
        )
    if re.fullmatch(r"(?=.*[A-Za-z])[A-Za-z0-9][A-Za-z0-9 &._-]{0,10}", text):
        problem = "is a name and no number; nobody can answer a sender's name"
        raise InvalidInput(name, problem, f"give a number in E.164, like {EXAMPLE}")


def _refuse_old_form(name: str, e164: str) -> None:
    for old in _OLD_FORMS:
        if re.fullmatch(old.pattern, e164):
            raise InvalidInput(
                name,
                f"{mask_number(e164)} is written as mobile numbers in {old.country} were until {old.until}",
                old.remedy,
            )


def _refuse_length(name: str, number: phonenumbers.PhoneNumber, e164: str) -> None:
    """Name a number that no number of its country is as long as; one that is in a known range is."""
    import phonenumbers

    lengths = phonenumbers.ValidationResult
    found = phonenumbers.is_possible_number_with_reason(number)
    if found == lengths.IS_POSSIBLE:
        return
    problem = {
        lengths.IS_POSSIBLE_LOCAL_ONLY: "has no area code",
        lengths.TOO_SHORT: f"has too few digits for a number of +{number.country_code}",
        lengths.TOO_LONG: f"has too many digits for a number of +{number.country_code}",
    }.get(found, f"has as many digits as no number of +{number.country_code}")
    raise InvalidInput(name, f"{mask_number(e164)} {problem}", "check for a missing or wrong digit")
