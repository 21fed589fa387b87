"""Keeps phone numbers and texts out of everything that people who may not know them can read."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

_SEPARATED = r"(?:[ .()/-]{0,3}\d)"
_NUMBER = re.compile(
    # E.164 as it appears in texts and, percent-encoded, in URLs.
    rf"(?:\+|%2[bB])\d{_SEPARATED}{{5,14}}"
    # Behind the prefix of international calls, or of national ones; a date is neither.
    rf"|(?<!\w)(?<!\d[.,:/-])(?!\d{{1,2}}[./-]\d{{1,2}}[./-]\d{{4}})0\d{_SEPARATED}{{7,15}}(?![\w:])"
    # In North America's groups: (415) 555-0167.
    r"|(?<!\w)(?:1[ .-]{0,2})?(?:\(\d{3}\)|(?<!\w)\d{3})[ .-]{1,2}\d{3}[ .-]?\d{4}(?!\w)"
    # In groups of another country, beginning with its code; neither a date nor a row of error codes.
    r"|(?<!\w)(?<!\d[.,:/-])(?!(?:19|20)\d\d-\d\d)(?!\d{5}(?: \d{5})+(?!\w))"
    r"[1-9]\d{0,2}(?:[ -]\(?\d{2,8}\)?){2,5}(?![\w:])"
    # A bare run. Ten digits that begin with 1 are a moment in seconds, thirteen one in milliseconds, and no number.
    r"|(?<![\w.])(?<![0-9a-f]-)(?:[02-9]\d{9}|\d{11,12}|[02-9]\d{12}|\d{14,15})(?![\w]|-[0-9a-f]|\.\d)"
)
_SID = re.compile(r"\b[A-Z]{2}[0-9a-fA-F]{32}\b")
# An apostrophe inside of a word neither begins nor ends a quotation; one that is cut off goes to the end.
_QUOTED = re.compile(r"(?<!\w)(?P<mark>[\"'`“‘«])(?=\S)(?:.+?(?<=\S)[\"'`”’»](?!\w)|.*$)", re.DOTALL)  # noqa: RUF001
# What Twilio quotes of its own: names of fields. Any other single word may be somebody's name.
_FIELD = re.compile(r"To|From|Body|[A-Za-z]+(?:[._][A-Za-z]+)+")
_CLOSING = {"“": "”", "‘": "’", "«": "»"}  # noqa: RUF001
_SHORTEST_VALUE = 2


def mask_number(number: str) -> str:
    """The last four digits of a phone number behind an ellipsis, ``…0100``."""
    digits = re.sub(r"\D", "", number)
    return f"…{digits[-4:]}" if len(digits) > 4 else "…"


def redact(text: str) -> str:
    """The text with every phone number in it reduced to its last four digits, in whatever usual spelling.

    SIDs, error codes, dates and moments stay.
    """
    return _NUMBER.sub(_masked, text)


def without_values(text: str, values: Iterable[str]) -> str:
    """The text without any of some values; SIDs among them stay.

    :param values: what was sent, like a customer's name or the body of a text
    """
    # Without what a sentence's end may have taken away.
    spellings = {value.strip(" .") for value in values}
    telling = [one for one in spellings if len(one) >= _SHORTEST_VALUE and not _SID.fullmatch(one)]
    if not telling:
        return text
    # The longest first, because one may be a part of another.
    pattern = "|".join(re.escape(one) for one in sorted(telling, key=len, reverse=True))
    return re.sub(rf"(?<!\w)(?:{pattern})(?!\w)", "…", text, flags=re.IGNORECASE)


def without_quotes(text: str, fields: Collection[str] = ()) -> str:
    """The text without what it quotes, but for the names of fields and for SIDs.

    :param fields: names of fields beside the usual ones
    """

    def unquoted(match: re.Match[str]) -> str:
        found = match.group()
        if found[1:-1] in fields or _FIELD.fullmatch(found[1:-1]):
            return found
        sids = " ".join(_SID.findall(found))
        return f"{found[0]}{sids or '…'}{_CLOSING.get(found[0], found[0])}"

    return _QUOTED.sub(unquoted, text)


def _masked(match: re.Match[str]) -> str:
    found = match.group()
    digits = sum(character.isdigit() for character in found)
    is_marked = found.startswith(("+", "%"))
    return mask_number(found) if is_marked or 9 <= digits <= 17 else found
