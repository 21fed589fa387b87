from __future__ import annotations

from flexsms.core.broadcast_samples import BroadcastSamples
from flexsms.core.outbound_message import count_segments, first_outside_gsm7

BERLIN = ("Europe/Berlin",)


def chosen(*texts: str) -> dict[int, str]:
    """Which of some texts are shown, the first one is 1, and why."""
    samples = BroadcastSamples()
    for number, text in enumerate(texts, 1):
        segments = count_segments(text)
        unusual = "" if segments.encoding == "GSM-7" else first_outside_gsm7(text)
        samples.add((BERLIN, number), len(text), segments, unusual)
    return {number: why for (_, number), why in samples.chosen().items()}


def test_what_may_be_wrong_is_shown_before_what_is_ordinary() -> None:
    texts = ["Dear Ann, hello", "Dear Bob, hello", "Dear , hello", "Dear Zoë’, hello", "Dear " + "A" * 200]
    found = chosen(*texts, "Dear Ivan, ok ж", "B" * 199)
    assert list(found.items()) == [
        (5, "the longest, 2 segments"),
        (4, "the first in UCS-2, 1 segment, because of U+00EB LATIN SMALL LETTER E WITH DIAERESIS"),
        (3, "the shortest, 1 segment"),
        (1, "an ordinary one, 1 segment"),
    ]


def test_the_longest_is_the_one_that_costs_most() -> None:
    """71 characters of UCS-2 are two segments, 160 of GSM-7 are one."""
    found = chosen("G" * 160, "ж" * 71)
    assert found[2] == "the longest, 2 segments, UCS-2 because of U+0436 CYRILLIC SMALL LETTER ZHE"
    assert found[1] == "an ordinary one, 1 segment"


def test_no_text_is_shown_twice_and_of_equal_ones_the_first() -> None:
    assert chosen("same") == {1: "the longest, 1 segment"}
    assert list(chosen(*["same"] * 5)) == [1, 2]
    assert chosen() == {}


def test_an_ordinary_one_is_of_the_commonest_kind() -> None:
    found = chosen("a" * 170, "a" * 171, "a" * 170, "b", "bb")
    assert [number for number, why in found.items() if why.startswith("an ordinary")] == [1]
