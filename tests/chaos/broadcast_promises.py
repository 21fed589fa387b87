"""What must hold of broadcasts and of opt-outs."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from flexsms.core.exceptions import InvalidInput
from flexsms.core.number_digest import NumberDigest
from flexsms.recipients.folder import NO_WORK_LIST
from flexsms.sandbox.products.messaging.opt_out import STOP, word_of

from .airflow import TaskRun
from .broadcasts import BAD, DIGEST_KEY, Broadcast
from .promise import Broken, Check
from .universe import EPOCH, EPOCH_S
from .wire import Exchange

if TYPE_CHECKING:
    from .player import Player

SUPPRESSIONS = "flexsms.suppressions."
OPTED_OUT = 21610
LEFT = ("sent", "delivered", "not_delivered")
# By which customers opt in again with flexsms, too: YES may answer any question.
IN_WORDS = ("START", "UNSTOP")
# What a request takes that is late; a text that was posted in time may arrive so much after it.
LATE_S = 30.0
# From the slot of a text to its first request: a slot may be a second old, and a look at a flow may come first.
JITTER_S = 8.0
# Twilio dates texts in whole seconds.
WHOLE_S = 1.0
# Of a text that nobody can tell of, the report says so.
UNDECIDED = re.compile(r"\b(has|have) left\b|is gone|not known", re.IGNORECASE)


def at_rest(player: Player) -> list[Broken]:
    """What has to hold when every campaign has run again without faults."""
    checks = (_campaign, _reached, _hours, _opted_out, _heard, _pace)
    return [broken for check in checks for broken in check(player)]


def cleared(broadcast: Broadcast) -> list[Broken]:
    """Whether a run that was cleared without faults went through."""
    found = []
    for task in broadcast.run.tasks:
        is_left = any(line["outcome"] in ("too_late", "stopped") for _, line in broadcast.outcomes())
        if is_left and NO_WORK_LIST in str(task.error):
            continue  # somebody has no text, and only another run helps
        is_late = isinstance(task.error, InvalidInput) and "not_after" in str(task.error)
        check = broadcast.run.tasks[0]
        if task.state == "failed" and not is_late and check.state == "success":
            error = f"{type(task.error).__name__}: {task.error}"
            found.append(Broken("cleared", f"{task.name} failed again: {error}"))
    return [*found, *of_a_report(broadcast)]


# The report


def of_a_report(broadcast: Broadcast) -> list[Broken]:
    """Whether the newest report of a run says what has left."""
    if broadcast.report_is_gone:
        return [Broken("told", f"the report of {broadcast.run.name} is gone")]
    lines = list(broadcast.outcomes())
    if not lines:
        return []
    report = next(task for task in broadcast.run.tasks if task.task_id == "report")
    return [*_rows(broadcast, report, lines), *_counts(report, lines)]


def _rows(broadcast: Broadcast, report: TaskRun, lines: list[tuple[int, dict[str, str]]]) -> Check:
    player = broadcast.player
    for who, line in lines:
        outcome, reason = line["outcome"], line["reason"]
        where = f"{broadcast.run.name} tells of row {line['row']}, customer {who}: {outcome} {reason!r}"
        texts = [sms for sms in broadcast.texts(who) if sms.created - EPOCH_S <= report.ended_s]
        if outcome in LEFT:
            if not texts:
                # What another run could not finish, this one has: it counts as its own.
                if not _of_campaign(player, broadcast.campaign, who):
                    yield Broken("told", f"{where}, and nothing has left")
                elif who in _claimed(player, broadcast):
                    yield Broken("told", f"{where}, and another run has told that it sent it")
            elif outcome != "sent" and (outcome == "delivered") is not (texts[0].status == "delivered"):
                yield Broken("told", f"{where}, and the text is {texts[0].status}")
        elif outcome == "texted_before":
            if not _of_campaign(player, broadcast.campaign, who):
                name = "campaigns" if _of_any(player, who) else "told"
                yield Broken(name, f"{where}, and no text of the campaign has left")
        elif outcome in ("invalid", "repeated"):
            if (outcome == "invalid") is not (who == BAD):
                yield Broken("told", where)
        elif texts and outcome != "unknown" and not UNDECIDED.search(reason):
            yield Broken("told", f"{where}, and a text has left")


def _counts(report: TaskRun, lines: list[tuple[int, dict[str, str]]]) -> Check:
    counts = Counter(line["outcome"] for _, line in lines)
    told = {name: report.result[name] for name in counts}
    if told != counts or report.result["texted"] != sum(counts[name] for name in LEFT):
        yield Broken("told", f"{report.name} counts {told} where its file has {dict(counts)}")


def _of_campaign(player: Player, campaign: str, who: int) -> list[Any]:
    return [sms for one in player.broadcasts if one.campaign == campaign for sms in one.texts(who)]


def _claimed(player: Player, beside: Broadcast) -> set[int]:
    """Whose text other runs tell of as their own."""
    others = [one for one in player.broadcasts if one is not beside and one.campaign == beside.campaign]
    return {
        who
        for one in others
        if not one.report_is_gone
        for who, line in one.outcomes()
        if line["outcome"] in LEFT and one.texts(who)
    }


def _of_any(player: Player, who: int) -> list[Any]:
    return [sms for one in player.broadcasts for sms in one.texts(who)]


# Campaigns


def _people(player: Player) -> Iterator[tuple[str, int]]:
    """Each campaign with each of its people, once."""
    yield from sorted({(one.campaign, who) for one in player.broadcasts for who in one.people})


def _campaign(player: Player) -> Check:
    for campaign, who in _people(player):
        texts = _of_campaign(player, campaign, who)
        if len(texts) > 1:
            yield Broken("campaign", f"customer {who} got {[sms.body for sms in texts]} of {campaign}")


def _reached(player: Player) -> Check:
    knowledge = _knowledge(player)
    for campaign, who in _people(player):
        if _of_campaign(player, campaign, who) or who in player.seen.disturbed:
            continue
        last = [one for one in player.broadcasts if one.campaign == campaign][-1]
        line = next((line for one, line in last.outcomes() if one == who), {"outcome": "", "reason": ""})
        report = next(task for task in last.run.tasks if task.task_id == "report")
        is_out = _knew(knowledge, _digest(player, who), report.ended_s)
        if line["outcome"] == "suppressed" and is_out:
            continue
        if "is gone" in line["reason"]:
            continue  # so nobody can tell, and it says so
        told = f"{line['outcome']} {line['reason']!r}"
        yield Broken("reached", f"customer {who} has no text of {campaign}, of which is told: {told}")


# Hours


def _hours(player: Player) -> Check:
    for one in player.broadcasts:
        opens, closes = (_minutes(part) for part in one.step.get("hours", "00:00-24:00").split("-"))
        for who in one.people:
            for sms in one.texts(who):
                at_s = sms.created - EPOCH_S
                minute = (EPOCH.hour * 60 + EPOCH.minute + at_s / 60) % (24 * 60)
                is_open = opens <= minute < closes if opens < closes else not closes <= minute < opens
                if not is_open:
                    yield Broken(
                        "hours", f"{sms.body!r} left at minute {minute:.1f}, not {opens} to {closes}"
                    )
                if at_s < one.step.get("not_before_s", 0):
                    yield Broken("hours", f"{sms.body!r} left at {at_s:.1f} s, before not_before")
                if at_s > one.step.get("not_after_s", at_s) + LATE_S:
                    yield Broken("hours", f"{sms.body!r} left at {at_s:.1f} s, after not_after")


def _minutes(clock: str) -> int:
    hours, minutes = clock.split(":")
    return int(hours) * 60 + int(minutes)


# Opt-outs


class _Learnt(NamedTuple):
    """What was written down of a number."""

    at_s: float
    out: bool


def _digest(player: Player, who: int) -> str:
    return NumberDigest(bytes.fromhex(DIGEST_KEY)).of(player.customer(who))


def _knowledge(player: Player) -> dict[str, list[_Learnt]]:
    """When Sync learnt what of each number, by its digest, in order."""
    found: dict[str, list[_Learnt]] = {}
    for one in player.wire.tape.exchanges:
        if SUPPRESSIONS in one.path and one.method == "POST" and one.applied and "Data" in one.form:
            digest = one.form.get("Key") or one.path.rpartition("/")[2]
            found.setdefault(digest, []).append(_Learnt(one.at_s, json.loads(one.form["Data"])["out"]))
    return found


def _knew(knowledge: dict[str, list[_Learnt]], digest: str, at_s: float) -> bool:
    """Whether it was known at a moment that a number has opted out."""
    before = [one for one in knowledge.get(digest, []) if one.at_s < at_s]
    return bool(before) and max(before, key=lambda one: one.at_s).out


def _posts(player: Player) -> Iterator[tuple[int, str, str]]:
    """Customer, body and ledger key of all that may leave."""
    for one in player.broadcasts:
        for who in one.people:
            yield who, one.body(who), one.key(who)
    for job, step in player.sends.items():
        if step.get("text", True):
            yield step["who"], player.body_of(job), player.key_of(job)


def _opted_out(player: Player) -> Check:
    knowledge = _knowledge(player)
    if not knowledge:
        return
    posts = {body: (who, key) for who, body, key in _posts(player)}
    took: dict[tuple[str, str], float] = {}
    for one in player.wire.tape.exchanges:
        if _takes(one):
            took[one.process, one.form["Key"]] = one.at_s
        body = one.form.get("Body", "")
        if body in posts and one.method == "POST" and one.applied:
            who, key = posts[body]
            began_s = took.get((one.process, key))
            if began_s is not None and _knew(knowledge, _digest(player, who), began_s):
                yield Broken("opted out", f"{one.process} posted {body!r}, and the opt-out was known before")


def _takes(one: Exchange) -> bool:
    """Whether a request claims a key, with which every text begins."""
    return one.method == "POST" and "/Maps/flexsms.sends." in one.path and "Key" in one.form


def _heard(player: Player) -> Check:
    stored = {
        row.name: row.data
        for row in player.world.store.map_items
        if (owner := player.world.store.maps.get(row.parent)) and str(owner.name).startswith(SUPPRESSIONS)
    }
    for who in range(player.schedule.customers):
        known = stored.get(_digest(player, who))
        words = [
            text
            for text in player.seen.inbound
            if text.who == who and _opts(text.words) is not None and not _is_untold(player, text.sms_sid)
        ]
        if words and player.broadcasts:
            last = words[-1]
            since_ms = (EPOCH_S + last.at_s) * 1000
            if known is None or known["at_ms"] < since_ms - 1000 * WHOLE_S:
                yield Broken(
                    "heard", f"customer {who} wrote {last.words} at {last.at_s:.1f} s; known is {known}"
                )
            elif known["why"] in ("stop", "start") and known["out"] is not _opts(last.words):
                yield Broken("heard", f"customer {who} wrote {last.words} last; known is {known}")
        for one in player.broadcasts:
            told = [line for whom, line in one.outcomes() if whom == who and line["code"] == str(OPTED_OUT)]
            for sms in one.texts(who) if told else ():
                if known is None or known["at_ms"] < (sms.created - WHOLE_S) * 1000:
                    yield Broken("heard", f"{sms.body!r} was refused with 21610; known is {known}")


def _is_untold(player: Player, sms_sid: str) -> bool:
    """Whether Twilio has refused twice to tell whose a text was; then nobody can know."""
    asked = [one for one in player.wire.tape.exchanges if one.path.endswith(f"/Messages/{sms_sid}.json")]
    return sum(400 <= one.status < 500 for one in asked) > 1


def _opts(words: str) -> bool | None:
    """Whether a customer's text opts out or in with flexsms."""
    word = word_of(words)
    return True if word in STOP else False if word in IN_WORDS else None


# Pace


def _pace(player: Player) -> Check:
    """Each text keeps its sender for a while; what begins has to wait until all before it have had theirs."""
    rates = {one.run.name: one.step.get("max_per_second") for one in player.broadcasts}
    ahead = most = 0.0
    for began_s, run in sorted(_begins(player)):
        if not rates.get(run):
            continue
        behind = began_s - ahead
        if behind < most - JITTER_S:
            yield Broken("pace", f"a text of {run} began at {began_s:.1f} s, {most - behind:.1f} s too early")
            return
        most = max(most, behind)
        ahead += 1 / rates[run]


def _begins(player: Player) -> Iterator[tuple[float, str]]:
    """When a batch began each of its texts, and of which run; without those of processes that stood still.

    A try counts once: a text whose interaction is being set up, or whose claim was lost on the way, claims again.
    """
    begun: set[tuple[str, str]] = set()
    for one in player.wire.tape.exchanges:
        if _takes(one) and (key := (one.process, one.form["Key"])) not in begun:
            begun.add(key)
            if one.process not in player.airflow.frozen:
                yield one.sent_s, one.owner.partition(".")[0]
