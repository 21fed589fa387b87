from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexsms.core.broadcast import BroadcastText
from flexsms.core.exceptions import PermanentError
from flexsms.core.outbound_message import count_segments
from flexsms.core.zone_groups import ZoneGroup, Zones
from flexsms.recipients.check import Checked
from flexsms.recipients.folder import WORK_LIST, BroadcastFolder
from flexsms.recipients.spool import Spool
from flexsms.recipients.work_list import BATCH_SIZE, batch_size, write_work_list

BERLIN: Zones = ("Europe/Berlin",)
BOISE: Zones = ("America/Boise", "America/Los_Angeles")


def text(row: int, zones: Zones) -> BroadcastText:
    return BroadcastText(row, "+14155550100", f"+1415{row:07}", f"ö {row}", zones=zones)


def alone(zones: Zones) -> ZoneGroup:
    return ZoneGroup(zones, (zones,))


def test_sets_of_zones_that_are_sent_together_are_one_batch_with_all_their_zones(tmp_path: Path) -> None:
    folder = BroadcastFolder(tmp_path.as_uri())
    texts = [text(row, BOISE if row % 2 else BERLIN) for row in range(1, 7)]
    checked = Checked(groups={BERLIN: 0, BOISE: 1})
    with Spool() as spool:
        for one in texts:
            spool.keep(checked.groups[one.zones], one.row, one.to_line())
            checked.texts[one.zones] += 1
            checked.samples.add((one.zones, checked.texts[one.zones]), 5, count_segments(one.body), "")
        group = ZoneGroup((*BOISE, *BERLIN), (BOISE, BERLIN))
        [batch], samples = write_work_list(folder, spool, checked, [group], most=1000)
    assert (batch.texts, batch.zones) == (6, (*BOISE, *BERLIN))
    sent = list(folder.texts(batch))
    assert [one.row for one in sent] == [1, 3, 5, 2, 4, 6]
    # What a person is shown is read from what is sent, and each text keeps its own zones.
    shown = [one for sample in samples for one in folder.texts(sample)]
    assert shown
    assert all(one in texts for one in [*sent, *shown])


def test_texts_of_a_set_of_zones_are_side_by_side(tmp_path: Path) -> None:
    folder = BroadcastFolder(tmp_path.as_uri())
    texts = [text(row, BOISE if row % 4 else BERLIN) for row in range(1, 2 * BATCH_SIZE + 1)]
    checked = Checked(groups={BERLIN: 0, BOISE: 1})
    with Spool() as spool:
        for one in texts:
            spool.keep(checked.groups[one.zones], one.row, one.to_line())
            checked.texts[one.zones] += 1
            place = (one.zones, checked.texts[one.zones])
            checked.samples.add(place, len(one.body), count_segments(one.body), "ö" if one.row == 7 else "")
        batches, samples = write_work_list(folder, spool, checked, [alone(BOISE), alone(BERLIN)], most=1000)
    assert [(batch.number, batch.label, batch.texts, batch.zones) for batch in batches] == [
        (0, "texts 1 to 1,000 of 2,000", 1000, BOISE),
        (1, "texts 1,001 to 1,500 of 2,000", 500, BOISE),
        (2, "texts 1,501 to 2,000 of 2,000", 500, BERLIN),
    ]
    sent = [one for batch in batches for one in folder.texts(batch)]
    assert sent == sorted(texts, key=lambda one: (one.zones == BERLIN, one.row))
    # What a person is shown is read from what is sent.
    shown = [one for sample in samples for one in folder.texts(sample)]
    assert [one.row for one in shown] == [1000, 7, 1, 2]
    assert [sample.label.split(",")[0] for sample in samples] == [
        "the longest",
        "the first in UCS-2",
        "the shortest",
        "an ordinary one",
    ]


def test_a_broadcast_to_nobody_has_a_batch_of_nothing(tmp_path: Path) -> None:
    folder = BroadcastFolder(tmp_path.as_uri())
    with Spool() as spool:
        [batch], samples = write_work_list(folder, spool, Checked(), [], most=1000)
    assert (batch.texts, batch.start, batch.end, samples) == (0, 0, 0, [])
    assert list(folder.texts(batch)) == []
    assert folder.path(WORK_LIST).exists()


@given(st.lists(st.integers(1, 3_000_000), min_size=1, max_size=300))
def test_there_are_never_too_many_batches(counts: list[int]) -> None:
    size = batch_size(counts, 1000)
    assert sum(-(-count // size) for count in counts) <= 1000
    assert size >= BATCH_SIZE


@pytest.mark.parametrize(("counts", "size"), [([1_000_000], 1000), ([1_000_001], 1100), ([5], 1000)])
def test_batches_grow_only_where_they_would_be_too_many(counts: list[int], size: int) -> None:
    assert batch_size(counts, 1000) == size


def test_too_many_sets_of_zones_are_named() -> None:
    with pytest.raises(PermanentError, match=r"in 1,001 groups of time zones .* at most 1,000 batches"):
        batch_size([1] * 1001, 1000)
