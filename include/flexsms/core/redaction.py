"""Keeps phone numbers out of everything that people who may not know them can read."""

from __future__ import annotations

import re

# E.164 as it appears in texts and, percent-encoded, in URLs. A bare run of digits is left alone:
# it may as well be a timestamp in milliseconds.
_E164 = re.compile(r"(?:\+|%2[bB])\d(?:[ .()-]{0,2}\d){5,14}")


def mask_number(number: str) -> str:
    """The last four digits of a phone number behind an ellipsis, ``…0100``."""
    digits = re.sub(r"\D", "", number)
    return f"…{digits[-4:]}" if len(digits) > 4 else "…"


def redact(text: str) -> str:
    """The text with every phone number in it reduced to its last four digits."""
    return _E164.sub(lambda match: mask_number(match.group()), text)
