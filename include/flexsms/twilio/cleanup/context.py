"""What every step of retiring works with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from flexsms.core.event_source import EventSource
from flexsms.core.stack_name import StackName
from flexsms.twilio.cleanup.ledger import CleanupLedger
from flexsms.twilio.cleanup.outcomes import Action
from flexsms.twilio.cleanup.unanswered import Unanswered, UnansweredTexts
from flexsms.twilio.stacks.protocol import RetiringStack
from flexsms.twilio.sync.channel_states import SyncStore
from flexsms.twilio.taskrouter.events import TaskRouterSource


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanupContext:
    """What retiring needs, whatever the batch.

    :param stacks: by name; every channel is retired by its own
    :param source: where task events come from
    :param tasks: which channels have an open task
    :param at_once: channels in work at a time
    :param run_id: names the run in the ledger
    :param now: the present, an aware datetime
    :param channel_types: which kinds of channels are retired
    :param texts: looks for texts that nobody was told of, by stack
    :param unanswered: what becomes of them
    :param dry_run: check, count, and write nothing
    """

    stacks: Mapping[StackName, RetiringStack]
    store: SyncStore
    ledger: CleanupLedger
    source: EventSource
    tasks: TaskRouterSource
    action: Action
    at_once: int
    run_id: str
    now: Callable[[], datetime]
    channel_types: frozenset[str]
    texts: Mapping[StackName, UnansweredTexts]
    unanswered: Unanswered = Unanswered.TASK
    dry_run: bool = False
