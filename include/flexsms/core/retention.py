"""When a channel has been quiet for long enough to be retired."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

from flexsms.core.attributes import CHANNEL_TYPE
from flexsms.core.channel_state import ChannelState
from flexsms.core.exceptions import InvalidInput

MS_PER_DAY = 86_400_000
MIN_RETENTION_DAYS = 1 / 1440  # one minute: anything shorter would race the agent who just pressed "complete"


SMS = frozenset({"sms"})
CHANNEL_TYPES_REMEDY = "name the kinds of channels to retire, separated by commas, like sms, whatsapp"

# Nobody says how late TaskRouter lists a task. Cleaning up reads its events with as much to spare.
LISTED_WITHIN_MS = MS_PER_DAY
# A task may wait for 14 days (https://www.twilio.com/docs/taskrouter/api/task, Timeout), and be wrapped up.
LONGEST_LIFE_MS = 15 * MS_PER_DAY


class Verdict(StrEnum):
    """What the retention rule says about a channel."""

    DUE = "due"
    OPEN_TASK = "open task"
    TOO_RECENT = "ended within the retention window"
    NEVER_ENDED = "no task has ended yet"
    RETIRED = "already retired"


def judge(state: ChannelState, *, now_ms: int, window_ms: int) -> Verdict:
    """Whether a channel is due: no open task, and the last one ended at least a window ago.

    A customer who wrote again has a newer task, and the clock counts from the end of that one.

    :param now_ms: the present, milliseconds since 1970 UTC
    :param window_ms: the retention window, milliseconds
    """
    if state.is_retired:
        return Verdict.RETIRED
    if state.open_tasks:
        return Verdict.OPEN_TASK
    if state.last_ended_ms is None:
        return Verdict.NEVER_ENDED
    return Verdict.DUE if now_ms - state.last_ended_ms >= window_ms else Verdict.TOO_RECENT


def may_be_down(state: ChannelState, *, window_ms: int) -> bool:
    """Whether a channel with an open task may bear the mark of a cleanup that did not see the task.

    It does if flexsms retired the channel, or if the task came after so long a silence that the channel was due.
    """
    if not state.open_tasks:
        return False
    newest_ms = max(state.seen[task_sid] for task_sid in state.open_tasks)
    silence_ms = newest_ms - state.last_ended_ms if state.last_ended_ms is not None else 0
    return state.retired is not None or silence_ms >= window_ms


def unheard_of(state: ChannelState, *, now_ms: int, workspace_sid: str) -> frozenset[str]:
    """The open tasks that are over if the workspace's complete list of open tasks has them no longer.

    Their end was never told, or came without the channel and was lost. Tasks of another workspace are in no list of
    ours. Which workspace a channel is of, events tell; where none has told it, only the longest life of a task counts.

    :param now_ms: the present, milliseconds since 1970 UTC
    :param workspace_sid: WS…, whose list it is
    """
    told = state.link("workspace")
    if told not in (None, workspace_sid):
        return frozenset()
    age_ms = LISTED_WITHIN_MS if told else LONGEST_LIFE_MS
    return frozenset(task_sid for task_sid in state.open_tasks if now_ms - state.seen[task_sid] >= age_ms)


def channel_types(value: object, *, field: str = "channel_types") -> frozenset[str]:
    """Which kinds of channels are retired.

    :param value: names like Flex writes them into ``channelType``, as a list or separated by commas
    :param field: what the value is called in an error
    :raises InvalidInput: when it names none, or something else
    """
    given = value.split(",") if isinstance(value, str) else value
    if not isinstance(given, Collection) or not all(isinstance(one, str) for one in given):
        raise InvalidInput(field, f"is {value!r}", CHANNEL_TYPES_REMEDY)
    named = {one.strip().lower() for one in given} - {""}
    odd = sorted(one for one in named if not CHANNEL_TYPE.fullmatch(one))
    if odd or not named:
        raise InvalidInput(field, f"names {odd[0]!r}" if odd else "is empty", CHANNEL_TYPES_REMEDY)
    return frozenset(named)


def window_ms(retention_days: float) -> int:
    """The retention window in milliseconds.

    :param retention_days: days, may be a fraction
    :raises InvalidInput: when it is not a number, or shorter than a minute
    """
    if isinstance(retention_days, bool) or not isinstance(retention_days, int | float):
        raise InvalidInput("retention_days", "is not a number", "give days, like 2 or 0.5")
    if not MIN_RETENTION_DAYS <= retention_days <= 3650:
        raise InvalidInput(
            "retention_days", f"is {retention_days}", "give days between one minute (0.0007) and 3650"
        )
    return round(retention_days * MS_PER_DAY)
