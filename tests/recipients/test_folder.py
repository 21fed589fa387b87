from __future__ import annotations

from pathlib import Path

import pytest

from flexsms.core.broadcast import BroadcastBatch, BroadcastResult, BroadcastText, Outcome
from flexsms.core.exceptions import PermanentError
from flexsms.recipients.folder import WORK_LIST, BroadcastFolder, results_of

TEXTS = [BroadcastText(row, "+14155550100", f"+1415555020{row}", f"hello\n{row} ö") for row in range(1, 6)]


def batch(folder: BroadcastFolder, first: int, last: int) -> BroadcastBatch:
    before, inside = (
        sum(len(text.to_line()) for text in part) for part in (TEXTS[:first], TEXTS[first:last])
    )
    return BroadcastBatch(0, "", folder.url, before, before + inside, last - first)


@pytest.fixture
def folder(tmp_path: Path) -> BroadcastFolder:
    folder = BroadcastFolder((tmp_path / "spring").as_uri())
    with folder.path(WORK_LIST).open("wb") as lines:
        lines.writelines(text.to_line() for text in TEXTS)
    return folder


def test_a_batch_reads_its_own_texts(folder: BroadcastFolder) -> None:
    assert list(folder.texts(batch(folder, 2, 4))) == TEXTS[2:4]
    assert list(folder.texts(batch(folder, 0, 5))) == TEXTS


def test_a_work_list_that_is_gone_or_another_one_is_named(folder: BroadcastFolder) -> None:
    ours = batch(folder, 2, 5)
    folder.path(WORK_LIST).write_bytes(b"".join(text.to_line() for text in TEXTS[:4]))
    with pytest.raises(PermanentError, match="not the one of this batch"):
        list(folder.texts(ours))
    folder.forget_texts()
    folder.forget_texts()
    with pytest.raises(PermanentError, match=r"is gone; clear the check"):
        list(folder.texts(ours))


def test_results_replace_those_of_an_earlier_try(folder: BroadcastFolder) -> None:
    ours = batch(folder, 2, 4)
    first, second = (
        [BroadcastResult(row, "…0201", outcome) for row in (3, 4)]
        for outcome in (Outcome.FAILED, Outcome.SENT)
    )
    assert list(folder.results(results_of(ours))) == []
    folder.write_results(results_of(ours), first)
    folder.write_results(results_of(ours), second)
    assert list(folder.results(results_of(ours))) == second
