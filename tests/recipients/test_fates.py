"""Which of the texts that Twilio lists are the broadcast's."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flexsms.core.broadcast import BroadcastBatch, BroadcastResult, BroadcastText, Outcome
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
    return [BroadcastBatch(0, "", folder.url, 0, first, 4), BroadcastBatch(1, "", folder.url, first, end, 1)]


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


def test_a_text_of_a_batch_that_ended_without_a_word_has_left_where_it_is_listed(
    folder: BroadcastFolder, fates: BroadcastFates
) -> None:
    fates.match(OURS, [listed(5, DeliveryStatus.SENT)])
    assert fates.counts()["unknown"] == 4
    assert written(folder, fates)[5].outcome is Outcome.SENT


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


def test_another_sender_has_sent_other_texts(folder: BroadcastFolder, fates: BroadcastFates) -> None:
    fates.match(OTHER, [listed(1, DeliveryStatus.DELIVERED)])
    assert written(folder, fates) == {}


def test_who_has_opted_out_is_told(fates: BroadcastFates) -> None:
    fates.match(OURS, [listed(1, DeliveryStatus.FAILED, 21610), listed(2, DeliveryStatus.FAILED, 30007)])
    assert fates.opted_out() == [("+14155550201", AT + timedelta(seconds=1))]
