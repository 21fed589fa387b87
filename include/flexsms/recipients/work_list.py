"""The work list: the texts of a broadcast, those of one set of zones side by side, and how they make batches."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

from flexsms.core.broadcast import BroadcastBatch, digest_of
from flexsms.core.broadcast_samples import Place
from flexsms.core.exceptions import PermanentError
from flexsms.recipients.check import Checked, Zones
from flexsms.recipients.check_file import write_chunks
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
    folder: BroadcastFolder, spool: Spool, checked: Checked, order: Sequence[Zones], *, most: int
) -> WorkList:
    """Write the texts, and say which of them each batch sends.

    Where there is none, that is one empty batch: Airflow would skip a task that is mapped over none, and so would what
    follows it.

    :param order: sets of zones, in the order in which they are texted
    :param most: batches at most
    :raises PermanentError: when there are more sets of zones than batches
    """
    counts = [checked.texts[zones] for zones in order]
    total, size = sum(counts), batch_size(counts, most)
    batches: list[BroadcastBatch] = []
    chosen = checked.samples.chosen()
    samples: dict[Place, BroadcastBatch] = {}
    begin = 0
    with write_chunks(folder.path(WORK_LIST)) as file:
        for zones, first in zip(order, accumulate(counts, initial=0), strict=False):
            part: list[bytes] = []
            for found, line in enumerate(spool.lines(checked.groups[zones]), 1):
                if why := chosen.get((zones, found)):
                    start = begin + sum(map(len, part))
                    samples[zones, found] = BroadcastBatch(
                        0, why, folder.url, start, start + len(line), 1, zones, digest_of(line)
                    )
                part.append(line)
                if found % size == 0 or found == checked.texts[zones]:
                    lines, texts, last = b"".join(part), len(part), first + found
                    file.write(lines)
                    label = f"texts {last - texts + 1:,} to {last:,} of {total:,}"
                    end = begin + len(lines)
                    batches.append(
                        BroadcastBatch(
                            len(batches), label, folder.url, begin, end, texts, zones, digest_of(lines)
                        )
                    )
                    begin, part = end, []
    return WorkList(batches or [nothing(folder)], [samples[place] for place in chosen])


def nothing(folder: BroadcastFolder) -> BroadcastBatch:
    """The batch of a broadcast that texts nobody."""
    return BroadcastBatch(0, "nobody is texted", folder.url, 0, 0, 0)


def batch_size(counts: Sequence[int], most: int) -> int:
    """How many texts a batch has at most, so that there are not too many batches. Each has one set of zones.

    :param counts: texts by set of zones
    :raises PermanentError: when there are more sets of zones than batches
    """
    if len(counts) > most:
        raise PermanentError(
            f"The list is in {len(counts):,} sets of time zones, and a broadcast has at most {most:,} batches with one "
            "each; divide the list, or give the zones in its column zone."
        )
    size = BATCH_SIZE
    while sum(-(-count // size) for count in counts) > most:
        size += BATCH_SIZE // 10
    return size
