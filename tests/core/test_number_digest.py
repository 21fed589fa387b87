"""Digests stand for numbers, and do not give them away."""

from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from flexsms.core.number_digest import KEY_BYTES, NumberDigest

KEY, OTHER_KEY = bytes(range(KEY_BYTES)), bytes(KEY_BYTES)
NUMBER = "+14155550100"


def test_a_digest_stays_the_same() -> None:
    """What is stored under a digest is found again by every later version."""
    assert NumberDigest(KEY).of(NUMBER) == "c3991c5856dd5f3bb619be32ac4f8ae4"
    assert NumberDigest(KEY).key_id == "16b91a5b"


@given(st.from_regex(r"\+[1-9]\d{7,14}", fullmatch=True))
def test_each_number_and_each_key_has_its_own(number: str) -> None:
    digest = NumberDigest(KEY).of(number)
    assert len(digest) == 32
    assert digest != NumberDigest(OTHER_KEY).of(number)
    assert digest != NumberDigest(KEY).of(f"{number}0")
    assert digest not in hashlib.sha256(number.encode()).hexdigest()


def test_nothing_shows_the_key() -> None:
    digest = NumberDigest(KEY)
    assert digest.key_id != NumberDigest(OTHER_KEY).key_id
    for shown in (repr(digest), digest.key_id, digest.of(NUMBER)):
        assert KEY.hex() not in shown
        assert repr(KEY)[2:-1] not in shown
