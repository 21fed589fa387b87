"""What must hold at the end of every schedule, whatever happened in it."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flexsms.core.channel_state import ChannelState
from flexsms.core.exceptions import (
    FlexSmsError,
    InvalidInput,
    OptedOut,
    PermanentError,
    SendInProgress,
    UndecidedSend,
)
from flexsms.sandbox.products.proxy import sessions
from flexsms.sandbox.products.taskrouter import tasks
from flexsms.twilio.cleanup.ledger import MAP_NAME
from flexsms.twilio.sending.idempotency import MAP_PREFIX as SENDS
from flexsms.twilio.stacks.chat.tasks import ELSEWHERE
from flexsms.twilio.stacks.short_lived import RETIRED, bears_our_mark
from flexsms.twilio.sync.channel_states import DOCUMENT_PREFIX
from flexsms.twilio.sync.lock import MAP_PREFIX as TURNS

from .airflow import Killed, Run, TaskRun
from .opt_outs import is_keyword
from .promise import Broken, Check
from .universe import EPOCH_S

if TYPE_CHECKING:
    from .player import Player

# Moments since 1970 and since the beginning differ by a rounding.
CLOSE_S = 0.001
LARGEST_DOCUMENT = 16 * 1024
MAY_HAVE_LEFT = re.compile(r"\b(has|have) left\b|\bwas sent as\b|\bIM[0-9a-f]{32}\b", re.IGNORECASE)
HAS_NOT_LEFT = re.compile(
    r"nothing (was|has been) sent|did not leave|has not left|none was found", re.IGNORECASE
)
HAS_LEFT = re.compile(r"(?<!whether )the text has left|text was sent", re.IGNORECASE)
# What Flex says when it cannot set up an interaction, a customer's own one included.
NO_SETUP = "Cannot set it up"
# https://www.twilio.com/docs/taskrouter/api/event/reference
STARTS = ("task.created", "task.wrapup")
ENDS = ("task.completed", "task.canceled", "task.deleted", "task.system-deleted")
RETIRED_LINES = ("deactivated", "deleted", "already_gone", "moved on")


# When a send is over


def of_a_send(player: Player, task: TaskRun) -> list[Broken]:
    """What has to hold when a send has come to its end."""
    return list(_keys(player, task))


def _keys(player: Player, task: TaskRun) -> Check:
    digest = player.key_of(task.run.name)
    exchanges = [one for one in player.wire.tape.exchanges if one.owner == task.name]
    if any(one.host.startswith("sync") and (one.fault or not one.status) for one in exchanges):
        return  # it could not, maybe
    item = _item(player, SENDS + digest[0], digest)
    is_for_good = not task.was_hit and task.state == "failed" and isinstance(task.error, PermanentError)
    if item is not None and is_for_good and item.data["owner"].startswith(f"flexsms_{task.run.name}/"):
        left_s = item.data["lease_until_ms"] / 1000 - EPOCH_S - player.universe.now_s
        if item.data["stage"] != "sent" and left_s > 1:
            yield Broken("keys", f"{task.name} has failed for good and holds its key for {left_s:.0f} s")
    # Where an answer was lost, the turn is kept on purpose, and runs out. It belongs to all sends with this key.
    of_this_key = [
        one for name in player.sends if player.key_of(name) == digest for one in player.runs[name].tasks
    ]
    names = {one.name for one in of_this_key}
    was_troubled = any(one.was_hit for one in of_this_key) or any(
        one.fault for one in player.wire.tape.exchanges if one.owner in names
    )
    if task.state == "success" and not was_troubled:
        for row in player.world.store.map_items:
            owner = player.world.store.maps.get(row.parent)
            if owner and str(owner.name).startswith(TURNS) and row.data["by"] == digest:
                yield Broken("keys", f"{task.name} is through and keeps the turn of {row.name}")


def agent_and_flow(player: Player) -> list[Broken]:
    """Whether both are on a conversation, at a moment when no send is under way."""
    return list(_apart(player))


def _apart(player: Player) -> Check:
    if player.schedule.stack == "chat":
        return
    for task in player.world.store.tasks:
        if task.status not in tasks.OPEN or task.conversation_sid is None:
            continue
        ours = '"outbound"' in task.attributes
        for _, hook in player.world.store.webhooks.under(task.conversation_sid).forward():
            if hook.target == "studio" and (ours or hook.created > task.created):
                how = "our task" if ours else "a task from before the flow was attached"
                yield Broken(
                    "apart",
                    f"{task.conversation_sid} has {how}, {task.sid}, and the flow's webhook {hook.sid}",
                )


# At rest


def at_rest(player: Player) -> list[Broken]:
    """What has to hold when no fault is left, and tracking and cleaning up have had their turn."""
    return [
        broken
        for check in (
            _once, _sent, _honest, _led, _one_task, _live, _window, _apart, _used, _session, _others, _state, _tree,
            _small, _private, _sandbox,
        )
        for broken in check(player)
    ]  # fmt: skip


def after_the_runs(player: Player) -> list[Broken]:
    """What has to hold behind runs that are green, without another one that mends what they left."""
    tasks_of_runs = [task for run in player.runs.values() for task in run.tasks]
    return list(_live(player)) if all(task.state == "success" for task in tasks_of_runs) else []


def after_probes(player: Player) -> list[Broken]:
    """What has to hold when every customer has written once more."""
    return [broken for check in (_led, _one_task) for broken in check(player)]


def in_the_end(player: Player) -> list[Broken]:
    """What has to hold when everybody has been quiet for longer than the window."""
    return [broken for check in (_retired, _session, _ledger) for broken in check(player)]


def is_through(run: Run) -> list[Broken]:
    """Whether a run without faults is green."""
    return [
        Broken("through", f"{task.name} is {task.state}: {type(task.error).__name__}: {task.error}")
        for task in run.tasks
        if task.state not in ("success", "skipped")
    ]


def wrote_nothing(player: Player, run: Run) -> list[Broken]:
    """Whether a second cleanup wrote nothing, unless a channel came due between the two."""
    began_s = next(one.at_s for one in player.wire.tape.exchanges if one.owner == "end-cleanup.plan")
    window_s = player.schedule.retention_days * 86_400
    for told in _told(player).values():
        due_s = (told.ended_ms or 0) / 1000 - EPOCH_S + window_s
        if began_s - 1 <= due_s <= player.universe.now_s:
            return []
    wrote = Counter(
        f"{one.method} {one.host}{re.sub(r'[A-Z]{2}[0-9a-f]{32}', '…', one.path)}"
        for one in player.wire.tape.exchanges
        if one.owner.startswith(f"{run.name}.") and one.method != "GET"
    )
    return [Broken("calm", f"{run.name} wrote: {dict(wrote)}")] if wrote else []


def cleared(player: Player, task: TaskRun) -> list[Broken]:
    """Whether a send that was cleared without faults went through."""
    if player.sends[task.run.name]["who"] in player.seen.disturbed:
        return []
    if task.state == "success" or isinstance(task.error, UndecidedSend | InvalidInput | OptedOut):
        return []
    return [Broken("cleared", f"{task.name} failed again: {type(task.error).__name__}: {task.error}")]


# Texts


def _texts(player: Player) -> Counter[str]:
    return Counter(sms.body for sms in player.world.store.outbox)


def _once(player: Player) -> Check:
    bodies = {player.body_of(name) for name in player.sends}
    for body, count in _texts(player).items():
        if count > 1 and body in bodies:
            yield Broken("once", f"{body!r} left {count} times")


def _send_tasks(player: Player) -> Iterator[tuple[str, TaskRun]]:
    for name in player.sends:
        for task in player.runs[name].tasks:
            yield player.body_of(name), task


def _sent(player: Player) -> Check:
    texts = _texts(player)
    for body, task in _send_tasks(player):
        step = player.sends[task.run.name]
        if step["who"] in player.seen.disturbed or not step.get("text", True):
            continue
        if task.state == "success" and not texts[body]:
            yield Broken("sent", f"{task.name} is green, and {body!r} has not left: {task.result}")


def _honest(player: Player) -> Check:
    """Asked of the errors before anything was cleared in the end."""
    texts = {sms.body: sms for sms in reversed(list(player.world.store.outbox))}
    for body, task in _send_tasks(player):
        for error, at_s in task.verdicts:
            if isinstance(error, InvalidInput | UndecidedSend) or not isinstance(error, FlexSmsError):
                continue
            sms, said = texts.get(body), str(error)
            left = sms is not None and sms.created - EPOCH_S <= at_s
            foreign = isinstance(error, SendInProgress) and "is sending with this key" in said
            by_another = [
                name for name in player.sends if player.body_of(name) == body and name != task.run.name
            ]
            if (
                left
                and not (foreign or by_another)
                and (HAS_NOT_LEFT.search(said) or not MAY_HAVE_LEFT.search(said))
            ):
                yield Broken("honest", f"{task.name}: {body!r} has left, and the error says: {said}")
            if not left and HAS_LEFT.search(said):
                yield Broken("honest", f"{task.name}: {body!r} has not left, and the error says: {said}")


# Customers


def _led(player: Player) -> Check:
    every = list(player.seen.rows["tasks"].values())
    for text in player.seen.inbound:
        if text.who in player.seen.disturbed or is_keyword(text.words):
            continue
        sid, outcome = text.result["channel_sid"], text.result["outcome"]
        if outcome in ("lost", "unrouted"):
            yield Broken("led", f"a text of customer {text.who} at {text.at_s:.1f} s was {outcome}: {sid}")
            continue
        here = [
            task
            for task in every
            if sid in (task.channel_sid, task.conversation_sid)
            and (task.ended is None or task.ended - EPOCH_S >= text.at_s - CLOSE_S)
        ]
        here += [
            task
            for task in every
            if f'"sourceChatChannelSid":"{sid}"' in task.attributes.replace(" ", "")
            and (task.ended is None or task.ended - EPOCH_S >= text.at_s - CLOSE_S)
        ]
        if not any(_leads(player, task) for task in here):
            fates = [f"{task.sid} {task.status}: {task.reason}" for task in here] or "no task"
            yield Broken(
                "led",
                f"no agent learns of the text of customer {text.who} at {text.at_s:.1f} s in {sid}: {fates}",
            )


def _leads(player: Player, task: Any) -> bool:
    """Whether a task is open, or was ended by an agent, or by Twilio itself."""
    if _is_open(player, task) or task.sid in player.seen.attended:
        return True
    return task.reason in ("Task TTL Exceeded", NO_SETUP) or (
        task.status in tasks.OPEN and task.sid not in player.seen.attended
    )


def _is_open(player: Player, task: Any) -> bool:
    return task.status in tasks.OPEN and player.world.store.tasks.get(task.sid) is not None


def _one_task(player: Player) -> Check:
    for who in range(player.schedule.customers):
        found = player.open_tasks(who)
        if len(found) > 1 and who not in player.seen.disturbed:
            where = [f"{task.sid} on {task.conversation_sid or task.channel_sid}" for task in found]
            yield Broken("one task", f"customer {who} has {', '.join(where)}")


def _live(player: Player) -> Check:
    store = player.world.store
    for task in store.tasks:
        if task.status not in tasks.OPEN or player.whose(task) in player.seen.disturbed:
            continue
        sid = task.conversation_sid or task.channel_sid
        row: Any = store.conversations.get(sid) or store.channels.get(sid)
        if row is None:
            yield Broken("orphan", f"{task.sid} is {task.status}, and its channel {sid} is deleted")
        elif task.conversation_sid:
            if row.state == "closed":
                yield Broken("orphan", f"{task.sid} is {task.status}, and its conversation {sid} is closed")
            elif row.state != "active" or bears_our_mark(row.parsed_attributes()):
                yield Broken(
                    "live", f"{task.sid} is {task.status}, and {sid} is {row.state} with {row.attributes}"
                )
        else:
            wrong = []
            theirs = (sid, "long_lived") in player.seen.written
            if not row.active or (row.parsed_attributes().get("long_lived") is False and not theirs):
                wrong.append(f"has {row.attributes}")
            if sessions.of_channel(player.world, row) is None:
                wrong.append("has no open session")
            if wrong:
                yield Broken("live", f"{task.sid} is {task.status}, and {sid} {' and '.join(wrong)}")


def _used(player: Player) -> Check:
    store = player.world.store
    about = {task.conversation_sid for task in player.seen.rows["tasks"].values()}
    for row in store.conversations:
        if not row.open or player.owner_of(row.sid) in player.seen.disturbed:
            continue
        if not row.messages and row.sid not in about and not len(store.webhooks.under(row.sid)):
            yield Broken("used", f"{row.sid} is open and empty")


def _session(player: Player) -> Check:
    for session in player.world.store.sessions:
        if session.status not in sessions.OPEN or not str(session.name).startswith("CH"):
            continue
        channel = player.world.store.channels.get(session.name)
        if player.owner_of(session.name) in player.seen.disturbed:
            continue
        if channel is None:
            yield Broken("session", f"{session.sid} is open, and its channel {session.name} is deleted")
        elif not channel.active:
            yield Broken("session", f"{session.sid} is open, and its channel {session.name} is inactive")


# Channels


def _is_retired(player: Player, sid: str) -> bool:
    store = player.world.store
    if sid in player.seen.rows["conversations"]:
        row = store.conversations.get(sid)
        return row is None or row.state == "closed"
    channel = store.channels.get(sid)
    return channel is None or (not channel.active and sessions.of_channel(player.world, channel) is None)


@dataclass(slots=True)
class _Told:
    """What all events tell of a channel, worked out without any code of flexsms.

    :param open_tasks: that began and did not end
    :param ended_ms: when the last one ended, None when none did
    :param newest_ms: when the last thing happened
    """

    open_tasks: set[str]
    ended_ms: int | None = None
    newest_ms: int = 0


def _told(player: Player) -> dict[str, _Told]:
    found: dict[str, _Told] = {}
    for event in player.world.store.events:
        task = player.seen.rows["tasks"].get(event.resource_sid)
        sid = task and (task.conversation_sid or task.channel_sid)
        if not sid or event.type not in (*STARTS, *ENDS):
            continue
        told = found.setdefault(sid, _Told(set()))
        told.newest_ms = max(told.newest_ms, event.ms)
        if event.type in STARTS:
            told.open_tasks.add(task.sid)
    for event in player.world.store.events:
        task = player.seen.rows["tasks"].get(event.resource_sid)
        told_of = found.get(task and (task.conversation_sid or task.channel_sid))
        if told_of is not None and event.type in ENDS:
            told_of.open_tasks.discard(task.sid)
            told_of.ended_ms = max(told_of.ended_ms or 0, event.ms)
    return found


def _marks(player: Player) -> dict[str, float]:
    """When a cleanup last wrote the two attributes of a channel."""
    found = {}
    for one in player.wire.tape.exchanges:
        is_mark = '"INACTIVE"' in one.form.get("Attributes", "") and one.method == "POST" and one.applied
        if is_mark and ".retire" in one.owner:
            found[one.path.rpartition("/")[2]] = one.at_s
    return found


def _window(player: Player) -> Check:
    window_s = player.schedule.retention_days * 86_400
    # A channel whose customer goes on in another one is given up whenever that happens.
    moved = {sid for sid, outcome in _ledger_lines(player) if outcome == "moved on"}
    marks = {sid: at_s for sid, at_s in _marks(player).items() if sid not in moved}
    newest: dict[str, float] = {}
    for event in player.world.store.events:
        task = player.seen.rows["tasks"].get(event.resource_sid)
        sid = task and (task.conversation_sid or task.channel_sid)
        # A send that looks for its customer gets every channel of the number, and takes back the task that Flex opens.
        if (
            task
            and '"flexsms_search"' in task.attributes
            and task.reason == ELSEWHERE
            and task.sid not in player.seen.attended
        ):
            continue
        listed_s = player.seen.listed.get(event.sid, event.created) - EPOCH_S
        if sid in marks and event.type.startswith("task.") and listed_s <= marks[sid]:
            newest[sid] = max(newest.get(sid, 0), event.created - EPOCH_S)
    lines = dict(_ledger_lines(player))
    for sid, at_s in marks.items():
        if player.owner_of(sid) in player.seen.disturbed or not _is_retired(player, sid):
            continue
        if lines.get(sid) == "moved on":
            continue  # its customer went on in another channel before it could be put back
        quiet_s = at_s - newest.get(sid, 0)
        if quiet_s < window_s - 1:
            yield Broken("window", f"{sid} was retired after {quiet_s:.0f} s of {window_s:.0f} s")


def _retired(player: Player) -> Check:
    for sid, told in _told(player).items():
        if told.ended_ms is None or player.owner_of(sid) in player.seen.disturbed:
            continue
        if not _is_retired(player, sid):
            row: Any = player.seen.rows["channels"].get(sid) or player.seen.rows["conversations"].get(sid)
            how = f"{getattr(row, 'state', '')} {row.attributes}".strip()
            yield Broken("retired", f"{sid} of customer {player.owner_of(sid)} is in use still: {how}")


def _others(player: Player) -> Check:
    store = player.world.store
    for (sid, name), (value, at_s) in player.seen.written.items():
        row: Any = store.channels.get(sid) or store.conversations.get(sid)
        if row is None or row.parsed_attributes().get(name) == value or _overlaps(player, sid, at_s):
            continue
        if name in RETIRED and _is_retired(player, sid):
            continue
        yield Broken("others", f"{sid}: {name} was {value!r}, and is {row.parsed_attributes().get(name)!r}")


def _overlaps(player: Player, sid: str, at_s: float) -> bool:
    """Whether somebody wrote between our look at the channel and our update: Twilio has no conditional one."""
    looked: dict[str, float] = {}
    for one in player.wire.tape.exchanges:
        if one.path.rpartition("/")[2] != sid:
            continue
        if one.method == "GET":
            looked[one.process] = one.at_s
        elif one.applied and looked.get(one.process, at_s) <= at_s <= one.at_s:
            return True
    return False


# Books


def _ledger_lines(player: Player) -> list[tuple[str, str]]:
    """Channel and outcome, in the order of the ledger."""
    rows = [row for row in player.world.store.map_items if _name_of_map(player, row) == MAP_NAME]
    return [
        (sid, outcome)
        for row in sorted(rows, key=lambda row: row.seq)
        for sid, _ended, outcome in row.data.get("channels", ())
    ]


def _ledger(player: Player) -> Check:
    lines = dict(_ledger_lines(player))
    for sid, outcome in lines.items():
        if player.owner_of(sid) in player.seen.disturbed:
            continue
        if outcome in RETIRED_LINES and not _is_retired(player, sid):
            yield Broken("ledger", f"{sid} is in use, and the ledger says {outcome}")
        if outcome not in RETIRED_LINES and _is_retired(player, sid):
            yield Broken("ledger", f"{sid} is retired, and the ledger says {outcome}")
    for sid in _marks(player):
        gone = sid not in lines and _is_retired(player, sid)
        if gone and player.owner_of(sid) not in player.seen.disturbed:
            yield Broken("ledger", f"{sid} is retired, and the ledger has no line of it")


def _state(player: Player) -> Check:
    documents = {row.name.removeprefix(DOCUMENT_PREFIX): row for row in _documents(player)}
    for sid, told in _told(player).items():
        row = documents.get(sid)
        if row is None:
            if not _is_retired(player, sid) and player.owner_of(sid) not in player.seen.disturbed:
                yield Broken("state", f"{sid} has events and no document")
            continue
        stored = ChannelState.from_json(row.data)
        if stored.retired is not None and stored.is_retired:
            if told.open_tasks and told.newest_ms > stored.retired[0]:
                yield Broken("state", f"{sid} is retired by its document, and has {sorted(told.open_tasks)}")
        elif told.open_tasks != stored.open_tasks:
            yield Broken(
                "state",
                f"{sid}: open are {sorted(told.open_tasks)}, its document says {sorted(stored.open_tasks)}",
            )
        elif (stored.last_ended_ms or 0) < (told.ended_ms or 0):
            yield Broken("state", f"{sid}: ended {told.ended_ms}, its document says {stored.last_ended_ms}")


def _documents(player: Player) -> Iterator[Any]:
    for row in player.world.store.documents:
        if str(row.name).startswith(DOCUMENT_PREFIX):
            yield row


def _small(player: Player) -> Check:
    for row in (*player.world.store.documents, *player.world.store.map_items):
        size = len(json.dumps(row.data, separators=(",", ":")).encode())
        if size > LARGEST_DOCUMENT:
            yield Broken("small", f"{row.name} has {size} bytes")
    for one in player.wire.tape.exchanges:
        if one.code == 54006:
            yield Broken("small", f"{one.method} {one.path} was refused: too large")


# Words


def _tree(player: Player) -> Check:
    for run in player.runs.values():
        if not run.is_over:
            states = {task.name: task.state for task in run.tasks}
            yield Broken("ends", f"{run.name} is not over: {states}")
        for task in run.tasks:
            for error in task.errors:
                if not isinstance(error, FlexSmsError | Killed):
                    yield Broken("tree", f"{task.name} failed with {type(error).__name__}: {error}")
    for complaint in player.airflow.complaints:
        yield Broken("tree", f"left in an event loop: {complaint}")


def _private(player: Player) -> Check:
    numbers = [player.customer(who)[2:] for who in range(player.schedule.customers)]
    names = [f"Customer Nr{who}" for who in range(player.schedule.customers)]
    secrets = [*numbers, *names, "inbound-", *(player.body_of(name) for name in player.sends)]
    secrets += ["news of b", "Friend"]
    pattern = re.compile("|".join(map(re.escape, secrets)))
    errors = [str(error) for run in player.runs.values() for task in run.tasks for error in task.errors]
    for where, lines in (
        ("XCom", [json.dumps(one) for one in player.airflow.xcoms]),
        ("an error", errors),
        ("a log line", player.airflow.logs),
    ):
        for line in lines:
            if found := pattern.search(line):
                yield Broken("private", f"{found.group()!r} is in {where}: {line[:300]}")
                break


def _sandbox(player: Player) -> Check:
    for error in player.control.errors[:1]:
        yield Broken("sandbox", error)


def _name_of_map(player: Player, row: Any) -> str:
    owner = player.world.store.maps.get(row.parent)
    return str(owner.name) if owner else ""


def _item(player: Player, name: str, key: str) -> Any:
    for row in player.world.store.map_items:
        if row.name == key and _name_of_map(player, row) == name:
            return row
    return None
