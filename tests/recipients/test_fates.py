"""Which of the texts that Twilio lists are the broadcast's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flexsms.core.broadcast import BroadcastBatch, BroadcastResult, BroadcastText, Outcome, digest_of
from flexsms.core.delivery_status import Delivery, DeliveryStatus
from flexsms.recipients.fates import BroadcastFates
from flexsms.recipients.folder import DELIVERY, WORK_LIST, BroadcastFolder, results_of
from flexsms.twilio.broadcast.deliveries import ListedText

OURS, OTHER = "+14155550100", "+14155550101"
AT = datetime(2026, 11, 21, 10, tzinfo=UTC)
BODY = "Your visit is tomorrow."


def listed(
    row: int,
    status: DeliveryStatus,
    code: int | None = None,
    *,
    body: str = BODY,
    after_s: float = 1,
    sid: str = "SM1",
) -> ListedText:
    return ListedText(f"+1415555020{row}", body, AT + timedelta(seconds=after_s), Delivery(status, code, sid))


@pytest.fixture
def folder(tmp_path: Path) -> BroadcastFolder:
    """Rows 1 to 3 were sent, 4 has opted out; row 5 is of a batch that ended without a word."""
    folder = BroadcastFolder(tmp_path.as_uri())
    lines = [BroadcastText(row, OURS, f"+1415555020{row}", BODY).to_line() for row in range(1, 6)]
    folder.path(WORK_LIST).write_bytes(b"".join(lines))
    results = [
        BroadcastResult(row, f"020{row}", Outcome.SENT, at=AT.isoformat(), message_sid=f"IM{row}")
        for row in (1, 2, 3)
    ]
    folder.write_results(
        results_of(batches(folder)[0]), [*results, BroadcastResult(4, "0204", Outcome.SUPPRESSED)]
    )
    return folder


def batches(folder: BroadcastFolder) -> list[BroadcastBatch]:
    lines = folder.path(WORK_LIST).read_bytes().splitlines(keepends=True)
    first, end = len(b"".join(lines[:4])), len(b"".join(lines))
    return [
        BroadcastBatch(0, "", folder.url, 0, first, 4, digest=digest_of(b"".join(lines[:4]))),
        BroadcastBatch(1, "", folder.url, first, end, 1, digest=digest_of(lines[4])),
    ]


@pytest.fixture
def fates(folder: BroadcastFolder) -> Iterator[BroadcastFates]:
    with BroadcastFates(folder, batches(folder)) as found:
        yield found


def written(folder: BroadcastFolder, fates: BroadcastFates) -> dict[int, BroadcastResult]:
    fates.write()
    return {result.row: result for result in folder.results(DELIVERY)}


def test_fates_are_told_by_row(folder: BroadcastFolder, fates: BroadcastFates) -> None:
    assert fates.senders == [OURS]
    assert fates.counts() == {"delivered": 0, "not_delivered": 0, "unknown": 3}
    fates.match(
        OURS,
        [
            listed(1, DeliveryStatus.DELIVERED, sid="SM7"),
            listed(2, DeliveryStatus.UNDELIVERED, 30003),
            listed(3, DeliveryStatus.SENT),
            listed(9, DeliveryStatus.DELIVERED),
        ],
    )
    assert fates.counts() == {"delivered": 1, "not_delivered": 1, "unknown": 1}
    found = written(folder, fates)
    assert set(found) == {1, 2}
    assert found[1] == BroadcastResult(
        1, "0201", Outcome.DELIVERED, at=AT.isoformat(), message_sid="IM1", sms_sid="SM7"
    )
    assert found[2].outcome is Outcome.NOT_DELIVERED
    assert found[2].code == 30003
    assert found[2].reason.startswith("The handset is switched off or out of reach; ")


def test_the_same_text_of_another_broadcast_is_no_proof_that_one_has_left(
    folder: BroadcastFolder, fates: BroadcastFates
) -> None:
    """Nobody has said that row 5 has left; row 1 left ten minutes later than what is listed."""
    fates.match(
        OURS, [listed(5, DeliveryStatus.DELIVERED), listed(1, DeliveryStatus.DELIVERED, after_s=-600)]
    )
    assert fates.counts() == {"delivered": 0, "not_delivered": 0, "unknown": 3}
    assert written(folder, fates) == {}


def test_what_the_ledger_knows_of_a_silent_batch_is_kept_and_looked_up(
    folder: BroadcastFolder, fates: BroadcastFates
) -> None:
    assert fates.silent(10) == [(5, "+14155550205", BODY)]
    left = BroadcastResult(5, "0205", Outcome.SENT, at=AT.isoformat(), message_sid="IM5")
    fates.learn(left)
    assert written(folder, fates)[5] == left
    with BroadcastFates(folder, batches(folder)) as again:
        assert again.silent(10) == []
        again.match(OURS, [listed(5, DeliveryStatus.DELIVERED, sid="SM5")])
        assert again.counts() == {"delivered": 1, "not_delivered": 0, "unknown": 3}
        assert written(folder, again)[5] == replace(left, outcome=Outcome.DELIVERED, sms_sid="SM5")


def test_what_left_in_another_run_is_not_counted(folder: BroadcastFolder, fates: BroadcastFates) -> None:
    before = BroadcastResult(5, "0205", Outcome.TEXTED_BEFORE, at=AT.isoformat())
    fates.learn(before)
    fates.match(OURS, [listed(5, DeliveryStatus.DELIVERED)])
    assert fates.counts()["unknown"] == 3
    assert written(folder, fates) == {5: before}
    with BroadcastFates(folder, batches(folder)) as again:
        assert again.counts()["unknown"] == 3
        assert written(folder, again) == {5: before}


def test_a_listed_text_is_that_of_one_row(tmp_path: Path) -> None:
    folder = BroadcastFolder(tmp_path.as_uri())
    lines = b"".join(BroadcastText(row, OURS, "+14155550201", BODY).to_line() for row in (1, 2))
    folder.path(WORK_LIST).write_bytes(lines)
    batch = BroadcastBatch(0, "", folder.url, 0, len(lines), 2, digest=digest_of(lines))
    folder.write_results(
        results_of(batch),
        [
            BroadcastResult(row, "0201", Outcome.SENT, at=(AT + timedelta(seconds=row)).isoformat())
            for row in (1, 2)
        ],
    )
    with BroadcastFates(folder, [batch]) as fates:
        fates.match(OURS, [listed(1, DeliveryStatus.DELIVERED, after_s=2)])
        assert set(written(folder, fates)) == {2}


def test_an_answer_of_an_agent_is_another_text(folder: BroadcastFolder, fates: BroadcastFates) -> None:
    """It leaves the same number for the same customer, later and with another body."""
    fates.match(
        OURS,
        [
            listed(1, DeliveryStatus.FAILED, 30007, body="You are welcome!", after_s=300),
            listed(2, DeliveryStatus.FAILED, 30007, body="You are welcome!", after_s=20),
            listed(2, DeliveryStatus.DELIVERED),
            listed(3, DeliveryStatus.DELIVERED, body="Your visit is tomorrow…"),  # altered on its way
            listed(4, DeliveryStatus.DELIVERED),  # of another broadcast: this one has left them out
            listed(5, DeliveryStatus.DELIVERED, body="You are welcome!"),
        ],
    )
    assert {row: result.outcome for row, result in written(folder, fates).items()} == {
        2: Outcome.DELIVERED,
        3: Outcome.DELIVERED,
    }


def test_a_text_of_another_broadcast_right_before_does_not_end_the_wait(
    folder: BroadcastFolder, fates: BroadcastFates
) -> None:
    """Twilio lists it first, because the own one is queued still."""
    other = "We have moved to Elm Street."
    fates.match(OURS, [listed(1, DeliveryStatus.DELIVERED, body=other, after_s=-5, sid="SM8")])
    assert fates.counts() == {"delivered": 0, "not_delivered": 0, "unknown": 3}
    fates.match(OURS, [listed(1, DeliveryStatus.FAILED, 30003, after_s=300, sid="SM9")])
    assert fates.counts() == {"delivered": 0, "not_delivered": 1, "unknown": 2}
    assert written(folder, fates)[1].sms_sid == "SM9"


@pytest.mark.parametrize(
    "body", ["Sent from your Twilio trial account - Your visit is tomorrow.", "Your “visit” is tomorrow…"]
)
def test_a_text_that_twilio_has_altered_a_little_is_the_same(fates: BroadcastFates, body: str) -> None:
    fates.match(OURS, [listed(1, DeliveryStatus.DELIVERED, body=body, after_s=300)])
    assert fates.counts()["delivered"] == 1


def test_a_text_of_which_only_the_moment_is_known_is_told_in_the_end(
    folder: BroadcastFolder, fates: BroadcastFates
) -> None:
    fates.match(OURS, [listed(1, DeliveryStatus.DELIVERED, body="Your visit: https://twil.io/a")])
    assert fates.counts()["delivered"] == 0
    assert written(folder, fates)[1].outcome is Outcome.DELIVERED


def test_another_sender_has_sent_other_texts(folder: BroadcastFolder, fates: BroadcastFates) -> None:
    fates.match(OTHER, [listed(1, DeliveryStatus.DELIVERED)])
    assert written(folder, fates) == {}


def test_who_has_opted_out_is_told(fates: BroadcastFates) -> None:
    fates.match(OURS, [listed(1, DeliveryStatus.FAILED, 21610), listed(2, DeliveryStatus.FAILED, 30007)])
    assert fates.opted_out() == [("+14155550201", AT + timedelta(seconds=1))]


def test_what_may_be_the_same_text_of_another_broadcast_is_told_by_its_receipt_alone(
    folder: BroadcastFolder, fates: BroadcastFates
) -> None:
    """Row 1: its own is not listed yet. Row 2: both are. Row 3: the other one left half an hour later."""
    fates.match(
        OURS,
        [
            listed(3, DeliveryStatus.DELIVERED, after_s=1800, sid="SM6"),
            listed(3, DeliveryStatus.SENT, after_s=-2, sid="SM5"),
            listed(2, DeliveryStatus.FAILED, 21610, after_s=90, sid="SM4"),
            listed(2, DeliveryStatus.DELIVERED, after_s=1, sid="SM3"),
            listed(1, DeliveryStatus.FAILED, 21610, after_s=-60, sid="SM2"),
        ],
    )
    assert fates.counts() == {"delivered": 0, "not_delivered": 0, "unknown": 3}
    assert fates.opted_out() == []
    assert written(folder, fates) == {}
    (first, one), (second, two) = fates.doubtful(10)
    assert (first, one.message_sid, second, two.message_sid) == (1, "IM1", 2, "IM2")
    assert [row for row, _ in fates.doubtful(1)] == [1]
    fates.settle(first, one, Delivery(DeliveryStatus.QUEUED, None, "SM1"))
    fates.settle(second, two, Delivery(DeliveryStatus.FAILED, 21610, "SM4"))
    assert fates.doubtful(10) == []
    assert fates.counts() == {"delivered": 0, "not_delivered": 1, "unknown": 2}
    assert fates.opted_out() == [("+14155550202", AT)]
    assert {row: result.sms_sid for row, result in written(folder, fates).items()} == {2: "SM4"}
    # A page that is read later changes nothing of it.
    fates.match(OURS, [listed(2, DeliveryStatus.DELIVERED, after_s=0, sid="SM3")])
    assert written(folder, fates)[2].outcome is Outcome.NOT_DELIVERED


def test_a_text_that_is_known_by_the_sid_of_its_sms_is_that_one(tmp_path: Path) -> None:
    """Its conversation is gone, so there is no receipt."""
    folder = BroadcastFolder(tmp_path.as_uri())
    line = BroadcastText(1, OURS, "+14155550201", BODY).to_line()
    folder.path(WORK_LIST).write_bytes(line)
    batch = BroadcastBatch(0, "", folder.url, 0, len(line), 1, digest=digest_of(line))
    sent = BroadcastResult(1, "0201", Outcome.SENT, at=AT.isoformat(), message_sid="SM8")
    folder.write_results(results_of(batch), [sent])
    with BroadcastFates(folder, [batch]) as fates:
        fates.match(
            OURS,
            [
                listed(1, DeliveryStatus.FAILED, 30007, after_s=0, sid="SM9"),
                listed(1, DeliveryStatus.DELIVERED, after_s=-900, sid="SM8"),
                listed(1, DeliveryStatus.FAILED, 30007, after_s=-1, sid="SM7"),
            ],
        )
        assert fates.doubtful(10) == []
        assert written(folder, fates)[1].sms_sid == "SM8"
        assert fates.counts() == {"delivered": 1, "not_delivered": 0, "unknown": 0}
