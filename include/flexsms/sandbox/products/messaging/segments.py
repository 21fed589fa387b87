"""How many SMS a text becomes.

Source: https://www.twilio.com/docs/glossary/what-is-gsm-7-character-encoding. A text of one that is not in GSM 03.38 is
UCS-2 as a whole.
"""

from __future__ import annotations

import re

BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENDED = "\f^{}\\[~]|€"  # two septets each
GSM = re.compile(f"[{re.escape(BASIC + EXTENDED)}]*")
TWO_SEPTETS = re.compile(f"[{re.escape(EXTENDED)}]")


def count(body: str) -> int:
    """1 for an empty text; a text of several loses room for the header of each."""
    gsm = GSM.fullmatch(body) is not None
    if len(body) <= 35 or (gsm and len(body) <= 80):  # for every list of a thousand
        return 1
    if gsm:
        units, alone, each = [1 + bool(TWO_SEPTETS.match(char)) for char in body], 160, 153
    else:
        units, alone, each = [len(char.encode("utf-16-be")) // 2 for char in body], 70, 67
    if sum(units) <= alone:
        return 1
    segments, room = 1, each
    for unit in units:
        if unit > room:
            segments, room = segments + 1, each
        room -= unit
    return segments
