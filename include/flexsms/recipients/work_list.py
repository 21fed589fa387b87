"""The work list: the texts of a broadcast, those of one group of zones side by side, and how they make batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from flexsms.core.broadcast import BroadcastBatch, digest_of
from flexsms.core.broadcast_samples import Place
from flexsms.core.exceptions import PermanentError
from flexsms.core.zone_groups import ZoneGroup
from flexsms.recipients.check import Checked
from flexsms.recipients.folder import WORK_LIST, BroadcastFolder
from flexsms.recipients.spool import Spool

BATCH_SIZE = 1000
MOST_BATCHES = 1000


class WorkList(NamedTuple):
    """Where texts are in the file.

    :param batches: those that a task each sends
    :param samples: those that a person should see, each like a batch of one text; the label says why
    """

    batches: list[BroadcastBatch]
    samples: list[BroadcastBatch]


def write_work_list(
    folder: BroadcastFolder, spool: Spool, checked: Checked, order: Sequence[ZoneGroup], *, most: int
) -> WorkList:
    """Write the texts, and say which of them each batch sends.

    Where there is none, that is one empty batch: Airflow would skip a task that is mapped over none, and so would what
    follows it.

    :param order: groups of sets of zones, in the order in which they are texted
    :param most: batches at most
    :raises PermanentError: when there are more groups than batches
    """
    counts = [sum(checked.texts[zones] for zones in group.members) for group in order]
    total, size = sum(counts), batch_size(counts, most)
    batches: list[BroadcastBatch] = []
    chosen = checked.samples.chosen()
    samples: dict[Place, BroadcastBatch] = {}
    begin = 0
    with folder.write(WORK_LIST) as file:
        for group, count, first in zip(order, counts, accumulate(counts, initial=0), strict=False):
            part: list[bytes] = []
            for found, (place, line) in enumerate(_lines(spool, checked, group), 1):
                if why := chosen.get(place):
                    start = begin + sum(map(len, part))
                    samples[place] = BroadcastBatch(
                        0, why, folder.url, start, start + len(line), 1, place[0], digest_of(line)
                    )
                part.append(line)
                if found % size == 0 or found == count:
                    lines, texts, last = b"".join(part), len(part), first + found
                    file.write(lines)
                    label = f"texts {last - texts + 1:,} to {last:,} of {total:,}"
                    end = begin + len(lines)
                    batches.append(
                        BroadcastBatch(
                            len(batches), label, folder.url, begin, end, texts, group.zones, digest_of(lines)
                        )
                    )
                    begin, part = end, []
    return WorkList(batches or [nothing(folder)], [samples[place] for place in chosen])


def _lines(spool: Spool, checked: Checked, group: ZoneGroup) -> Iterator[tuple[Place, bytes]]:
    """The texts of a group, each with its set of zones and its place there."""
    for zones in group.members:
        for place, line in enumerate(spool.lines(checked.groups[zones]), 1):
            yield (zones, place), line


def nothing(folder: BroadcastFolder) -> BroadcastBatch:
    """The batch of a broadcast that texts nobody."""
    return BroadcastBatch(0, "nobody is texted", folder.url, 0, 0, 0)


def batch_size(counts: Sequence[int], most: int) -> int:
    """How many texts a batch has at most, so that there are not too many batches. Each has one group of zones.

    :param counts: texts by group of zones
    :raises PermanentError: when there are more groups than batches
    """
    if len(counts) > most:
        raise PermanentError(
            f"The list is in {len(counts):,} groups of time zones without a common hour, and a broadcast has at most "
            f"{most:,} batches; divide the list, widen the hours, or raise Airflow's option [core] max_map_length."
        )
    size = BATCH_SIZE
    while sum(-(-count // size) for count in counts) > most:
        size += BATCH_SIZE // 10
    return size
