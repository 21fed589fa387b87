"""The first half of cleaning up: find the channels that are due."""

from __future__ import annotations

import base64
import heapq
import json
import zlib
from collections import Counter
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from flexsms.core.census import Census
from flexsms.core.channel_state import ChannelState
from flexsms.core.retention import SMS, Verdict, judge, may_be_down, unheard_of
from flexsms.core.stack_name import StackName
from flexsms.twilio.sync.channel_states import Leftover, Scanned, UnreadableDocument

# Channels per batch, which is a task in Airflow: at Proxy's 30 channels/s about a minute of work.
BATCH_SIZE = 2_000


@dataclass(frozen=True, slots=True)
class DueChannel:
    """A channel that the scan found due, with what retiring it needs.

    :param links: SIDs that belong to the channel, by name, as the state knows them
    :param revision: of the state that the scan read; empty when only the original recipe knew the channel
    """

    channel_sid: str
    ended_ms: int
    stack: StackName
    revision: str
    links: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, state: ChannelState, revision: str) -> DueChannel:
        """A channel by its state."""
        links = {name: linked for name, (_, linked) in state.links.items()}
        return cls(state.channel_sid, state.last_ended_ms or 0, state.stack, revision, links)


def pack(channels: Sequence[DueChannel]) -> str:
    """A short form for XCom: a plain one of some thousand channels is larger than many proxies let through."""
    rows = [
        [channel.channel_sid, channel.ended_ms, str(channel.stack), channel.revision, dict(channel.links)]
        for channel in channels
    ]
    return base64.b64encode(zlib.compress(json.dumps(rows, separators=(",", ":")).encode(), 9)).decode()


def unpack(packed: str) -> list[DueChannel]:
    """Read what :func:`pack` wrote."""
    rows = json.loads(zlib.decompress(base64.b64decode(packed)))
    return [
        DueChannel(sid, ended, StackName(stack), revision, links)
        for sid, ended, stack, revision, links in rows
    ]


@dataclass(frozen=True, slots=True)
class Rule:
    """Which channels are due.

    :param now_ms: the present, milliseconds since 1970 UTC
    :param window_ms: the retention window, milliseconds
    :param limit: how many channels at most
    :param workspace_sid: WS…; channels of another one are not ours
    :param channel_types: which kinds of channels are retired; of a channel whose kind no task has told, the channel
        itself is asked when it is retired
    """

    now_ms: int
    window_ms: int
    limit: int
    workspace_sid: str
    channel_types: frozenset[str] = SMS

    def is_due(self, state: ChannelState) -> bool:
        """Whether a channel's last task ended long enough ago."""
        return judge(state, now_ms=self.now_ms, window_ms=self.window_ms) is Verdict.DUE


@dataclass(slots=True)
class Scan:
    """What the scan found.

    :param scanned: documents read
    :param due: the longest quiet first, no more than were asked for
    :param due_in_all: how many are due, those beyond the limit included
    :param revived: channels with an open task that an earlier cleanup may have suspended
    :param retired: those of the watched channels that an earlier cleanup has marked as retired
    :param suspended: those of the watched channels that are neither retired nor due
    :param late: those of the watched channels of which something was heard after they were retired
    :param unheard_of: of channels with open tasks that were not heard of for long: these tasks
    :param elsewhere: how many due channels are another workspace's, which is left to decide on them
    :param other_types: how many due channels are of a kind that is not retired, by kind
    :param unreadable: documents that hold no channel state
    :param leftovers: documents of the original recipe about no channel
    :param census: the channels of our workspace, counted before any is retired
    """

    scanned: int = 0
    due: list[DueChannel] = field(default_factory=list)
    due_in_all: int = 0
    revived: list[DueChannel] = field(default_factory=list)
    retired: list[DueChannel] = field(default_factory=list)
    suspended: list[DueChannel] = field(default_factory=list)
    late: list[DueChannel] = field(default_factory=list)
    unheard_of: list[tuple[DueChannel, frozenset[str]]] = field(default_factory=list)
    elsewhere: int = 0
    other_types: Counter[str] = field(default_factory=Counter)
    unreadable: list[UnreadableDocument] = field(default_factory=list)
    leftovers: list[str] = field(default_factory=list)
    census: Census = field(default_factory=Census)


async def find_due(
    pages: AsyncGenerator[list[Scanned], None],
    rule: Rule,
    *,
    watched: Collection[str] = (),
) -> Scan:
    """Find the channels that are due; holds no more than the rule's limit of them in memory.

    :param watched: channels that an earlier cleanup may not have finished
    """
    result = Scan()
    kept: dict[str, DueChannel] = {}
    newest_first: list[tuple[int, str]] = []
    async with aclosing(pages):
        async for page in pages:
            for stored in page:
                result.scanned += 1
                if isinstance(stored, UnreadableDocument):
                    result.unreadable.append(stored)
                    continue
                if isinstance(stored, Leftover):
                    result.leftovers.append(stored.name)
                    continue
                if stored.state.channel_sid in watched:
                    _sort_watched(result, stored.state, stored.revision, rule)
                _consider(result, kept, newest_first, stored.state, stored.revision, rule)
    result.due = sorted(kept.values(), key=lambda channel: channel.ended_ms)
    return result


def _sort_watched(result: Scan, state: ChannelState, revision: str, rule: Rule) -> None:
    channel = DueChannel.of(state, revision)
    if state.retired is not None:
        (result.retired if state.is_retired else result.late).append(channel)
    elif not rule.is_due(state):
        result.suspended.append(channel)


def _consider(
    result: Scan,
    kept: dict[str, DueChannel],
    newest_first: list[tuple[int, str]],
    state: ChannelState,
    revision: str,
    rule: Rule,
) -> None:
    sid = state.channel_sid
    if may_be_down(state, window_ms=rule.window_ms):
        result.revived.append(DueChannel.of(state, revision))
    unheard = unheard_of(state, now_ms=rule.now_ms, workspace_sid=rule.workspace_sid)
    if unheard:
        result.unheard_of.append((DueChannel.of(state, revision), unheard))
    if sid in kept:
        return
    is_due = rule.is_due(state)
    if state.link("workspace") not in (None, rule.workspace_sid):
        result.elsewhere += is_due
        return
    kind = state.link("type")
    is_retired_kind = kind is None or kind in rule.channel_types
    result.census.count(state, now_ms=rule.now_ms, is_due=is_due and is_retired_kind)
    if not is_due:
        return
    if not is_retired_kind:
        result.other_types[str(kind)] += 1
        return
    result.due_in_all += 1
    kept[sid] = DueChannel.of(state, revision)
    heapq.heappush(newest_first, (-kept[sid].ended_ms, sid))
    if len(newest_first) > rule.limit:
        kept.pop(heapq.heappop(newest_first)[1])
