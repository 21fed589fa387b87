"""A list is checked: who is texted what, who is not and why, and what people read of it."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexsms.core.broadcast import BroadcastResult, BroadcastText, Outcome
from flexsms.core.message_fields import MessageFields
from flexsms.core.number_digest import NumberDigest
from flexsms.core.sending_hours import SendingHours
from flexsms.recipients.check import COLUMNS, DRY_RUN, Checked, ListCheck, Order
from flexsms.recipients.check_file import write_check
from flexsms.recipients.folder import CHECK, LEFT_OUT, BroadcastFolder
from flexsms.recipients.rows import Row
from flexsms.recipients.spool import Known, Spool

FROM, OTHER_FROM = "+14155550100", "+14155550101"
DIGEST = NumberDigest(b"k" * 32)
NOON = datetime(2026, 1, 5, 20, tzinfo=UTC)  # in Los Angeles


def order(**more: Any) -> Order:
    values: dict[str, Any] = {
        "body": MessageFields.parse("Hello {name}"),
        "from_numbers": (FROM,),
        "hours": SendingHours.parse(),
        "since": NOON,
    }
    return Order(**{**values, **more})


def row(number: int, to: str, **values: Any) -> Row:
    return Row(number, {"to_number": to, "name": "Ada", **values})


class Done:
    """What a check has left."""

    def __init__(self, folder: BroadcastFolder, spool: Spool, checked: Checked) -> None:
        self.checked = checked
        self.texts = [
            BroadcastText.from_line(line) for group in checked.groups.values() for line in spool.lines(group)
        ]
        self.left_out = {result.row: result for result in folder.results(LEFT_OUT)}
        self.content = folder.path(CHECK).read_bytes()
        self.table = list(csv.DictReader(io.StringIO(self.content.decode("utf-8-sig"))))


NUMBERS = st.sampled_from(
    ["+14155550191", "+1 415 555 0191", "+14155550192", "+4915112345678", "+79161234567", FROM]
)
ANYTHING = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.text()))


@given(
    st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "to_number": NUMBERS | ANYTHING,
                "name": st.just("Ada") | ANYTHING,
                "to_name": ANYTHING,
                "zone": st.sampled_from(["Europe/Berlin", ""]) | ANYTHING,
            },
        )
    )
)
def test_whatever_a_list_holds_each_row_is_told_once_and_nobody_is_texted_twice(
    rows: list[dict[str, Any]],
) -> None:
    report: list[Sequence[object]] = []
    left_out = io.BytesIO()
    with Spool() as spool:
        done = ListCheck(
            order(hours=SendingHours.parse("09:00-17:00")),
            spool=spool,
            digest=DIGEST,
            left_out=left_out,
            report=report.extend,
        ).run(Row(number, values) for number, values in enumerate(rows, 1))
        texts = [
            BroadcastText.from_line(line) for group in done.groups.values() for line in spool.lines(group)
        ]
    results = [BroadcastResult.from_line(line) for line in left_out.getvalue().splitlines()]
    assert sorted([*(text.row for text in texts), *(result.row for result in results)]) == [
        row for row, *_ in report
    ]
    assert [row for row, *_ in report] == list(range(1, len(rows) + 1))
    assert len({text.to_number for text in texts}) == len(texts)
    assert all(result.reason for result in results)
    assert (done.rows, done.texts.total()) == (len(rows), len(texts))


@pytest.fixture
def check(tmp_path: Path) -> Callable[..., Done]:
    def check(rows: Iterable[Row], order: Order = order(), known: dict[str, int] | None = None) -> Done:  # noqa: B008
        folder = BroadcastFolder(tmp_path.as_uri())
        with Spool() as spool:
            for number, why in (known or {}).items():
                spool.add(DIGEST.of(number), why)
            with (
                folder.write(LEFT_OUT) as left_out,
                write_check(folder, COLUMNS) as report,
            ):
                checked = ListCheck(order, spool=spool, digest=DIGEST, left_out=left_out, report=report).run(
                    rows
                )
            return Done(folder, spool, checked)

    return check


def test_each_row_is_texted_or_left_out_with_a_reason(check: Callable[..., Done]) -> None:
    done = check(
        [
            row(1, "+14155550191", name="Zoë’s"),
            row(2, "+1 (415) 555-0191"),
            row(3, "+14155550192"),
            row(4, "+14155550193"),
            row(5, "+14155550194", name=""),
            row(6, "+14155550194"),
            Row(7, {}, "is not UTF-8; save the file as UTF-8"),
            row(8, "+493012345678"),
            row(9, FROM),
            row(10, "+12125550195", to_name="Grace"),
        ],
        known={"+14155550192": Known.SUPPRESSED, "+14155550193": Known.TEXTED_BEFORE},
    )
    assert [(text.row, text.to_number, text.body, text.to_name) for text in done.texts] == [
        (1, "+14155550191", "Hello Zoë’s", ""),
        (6, "+14155550194", "Hello Ada", ""),
        (10, "+12125550195", "Hello Ada", "Grace"),
    ]
    assert {row: (result.outcome, result.to) for row, result in done.left_out.items()} == {
        2: (Outcome.REPEATED, "0191"),
        3: (Outcome.SUPPRESSED, "0192"),
        4: (Outcome.TEXTED_BEFORE, "0193"),
        5: (Outcome.INVALID, "0194"),
        7: (Outcome.INVALID, ""),
        8: (Outcome.INVALID, "5678"),
        9: (Outcome.INVALID, "0100"),
    }
    assert done.left_out[2].reason == "the same number is in row 1"
    assert done.left_out[5].reason.startswith("name: is empty; give it a value")
    assert done.checked.rows == 10
    assert done.checked.left_out == Counter(
        {Outcome.INVALID: 4, Outcome.REPEATED: 1, Outcome.SUPPRESSED: 1, Outcome.TEXTED_BEFORE: 1}
    )
    assert done.checked.encodings == {"UCS-2": 1, "GSM-7": 2}
    assert done.checked.segments == {"US": 3}
    assert done.checked.problems.sentences()[:2] == [
        "row 5, name: is empty; give it a value, or leave {name} out of the body.",
        "row 7 is not UTF-8; save the file as UTF-8.",
    ]


def test_people_read_a_line_per_row_without_a_text_or_a_whole_number(check: Callable[..., Done]) -> None:
    done = check([row(1, "+14155550191", name="Zoë’s"), row(2, "+14155550192"), row(3, "=cmd", name="x")])
    first, second, third = done.table
    assert first == {
        "row": "1",
        "to": "…0191",
        "outcome": "ready",
        "reason": "",
        "segments": "1",
        "encoding": "UCS-2",
        "ucs2_because_of": "U+00EB LATIN SMALL LETTER E WITH DIAERESIS",
        "leaves_from_utc": "2026-01-05T20:00:00+00:00",
    }
    assert second["ucs2_because_of"] == ""
    assert third["outcome"] == "invalid"
    for personal in ("5550191", "Hello", "Zoë", "cmd"):
        assert personal not in done.content.decode()


def test_a_cell_that_a_spreadsheet_would_run_is_harmless(tmp_path: Path) -> None:
    folder = BroadcastFolder(tmp_path.as_uri())
    with write_check(folder, ("a", "b")) as write:
        write([["=1+1", "-2"], ["@x", -3]])
    assert folder.path(CHECK).read_text("utf-8-sig").splitlines() == ["a,b", "'=1+1,'-2", "'@x,-3"]


def test_texts_wait_for_their_hours_and_too_late_is_too_late(check: Callable[..., Done]) -> None:
    rows = [row(1, "+14155550191"), row(2, "+4915112345678"), row(3, "+14155550193", zone="Asia/Tokyo")]
    done = check(rows, order(not_after=NOON + timedelta(hours=8)))
    assert [(text.row, text.zones) for text in done.texts] == [
        (1, ("America/Los_Angeles",)),
        (3, ("Asia/Tokyo",)),
    ]
    assert done.table[2]["leaves_from_utc"] == "2026-01-05T23:00:00+00:00"
    late = done.left_out[2]
    assert (late.outcome, late.reason) == (
        Outcome.TOO_LATE,
        "the text may leave from 2026-01-06T07:00:00+00:00 only, which is after not_after.",
    )


def test_zones_without_a_common_hour_are_named(check: Callable[..., Done]) -> None:
    done = check([row(1, "+79161234567")], order(hours=SendingHours.parse("09:00-17:00")))
    assert (
        "zone: can be any of 16, which have no time within hours in common; give" in done.left_out[1].reason
    )


def test_each_recipient_always_has_the_same_sender_and_senders_have_the_same_share(
    check: Callable[..., Done],
) -> None:
    rows = [row(number, f"+1415555{number:04}") for number in range(1000, 2000)]
    both = {
        text.to_number: text.from_number for text in check(rows, order(from_numbers=(FROM, OTHER_FROM))).texts
    }
    turned = {
        text.to_number: text.from_number
        for text in check(rows[::-1], order(from_numbers=(OTHER_FROM, FROM))).texts
    }
    assert both == turned
    shares = Counter(both.values())
    assert all(450 < share < 550 for share in shares.values())
    third = {
        text.to_number: text.from_number
        for text in check(rows, order(from_numbers=(FROM, OTHER_FROM, "+14155550102"))).texts
    }
    # Only whoever goes to the new one has another sender than before.
    assert {sender for to, sender in third.items() if sender != both[to]} == {"+14155550102"}


def test_a_number_of_ours_is_no_recipient_whichever_of_our_numbers_would_text_it(
    check: Callable[..., Done],
) -> None:
    """A conversation of two numbers of the same account would answer itself."""
    done = check([row(1, FROM), row(2, OTHER_FROM)], order(from_numbers=(FROM, OTHER_FROM)))
    assert done.texts == []
    assert {result.reason for result in done.left_out.values()} == {
        "to_number: is one of from_number; give the customer's number."
    }


def test_a_dry_run_keeps_no_text_and_says_so_of_each_row(check: Callable[..., Done]) -> None:
    done = check([row(1, "+14155550191"), row(2, "x")], order(dry_run=True))
    assert done.texts == []
    assert done.left_out[1] == BroadcastResult(1, "0191", Outcome.STOPPED, reason=DRY_RUN)
    assert done.checked.left_out == {Outcome.INVALID: 1}
    assert done.checked.texts.total() == 1
    assert done.table[0]["outcome"] == "ready"
