"""What has to hold when a broadcast is over, whoever was killed, by what the sandbox has sent."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from flexsms.core.broadcast import Outcome
from flexsms.core.opt_out import OPTED_OUT
from flexsms.recipients.folder import BroadcastFolder

from .centre import HOURS, Recipient
from .database import AGAIN, CHECK

if TYPE_CHECKING:
    from .broadcast import Broadcast

Row = Mapping[str, str]
Sms = Mapping[str, Any]
# What the result says of a text, by the status that the sandbox gives it.
TOLD = {
    "sent": Outcome.SENT,
    "delivered": Outcome.DELIVERED,
    "undelivered": Outcome.NOT_DELIVERED,
    "failed": Outcome.NOT_DELIVERED,
}
# Whoever is too late has been in the list of a batch whose hours ended meanwhile: some, and not most.
MOST_TOO_LATE = 0.3
# A text leaves soon after its claim was written down, unless its worker is one of many that wait for a processor.
NEAR = timedelta(seconds=60)


class Violation(AssertionError):
    """A promise was broken."""


def check(holds: bool, promise: str) -> None:
    """Raise when a promise is broken."""
    if not holds:
        raise Violation(promise)


def judge(broadcast: Broadcast) -> Counter[str]:
    """Compare the outbox with the list, with the result file row by row, and with the totals.

    :return: how many rows had which outcome
    """
    centre = broadcast.centre
    outbox: dict[str, list[Sms]] = defaultdict(list)
    for sms in centre.control.outbox():
        outbox[sms["to"]].append(sms)
    check(outbox.keys() <= centre.recipients.keys(), "somebody was texted who is not in the list")
    report = broadcast.file("report.csv", CHECK)
    last = centre.repeated_rows.stop
    check(
        [row["row"] for row in report] == [str(row) for row in range(1, last)], "not each row is told of once"
    )
    for recipient in centre.recipients.values():
        found = outbox[recipient.number]
        check(len(found) <= 1, f"row {recipient.row} was texted {len(found)} times")
        row = report[recipient.row - 1]
        _judge_result(broadcast, recipient, row, found[0] if found else None)
        if found:
            _judge_text(broadcast, recipient, found[0])
    for rows, outcome in ((centre.wrong_rows, Outcome.INVALID), (centre.repeated_rows, Outcome.REPEATED)):
        check({report[row - 1]["outcome"] for row in rows} == {outcome}, f"not each of {rows} is {outcome}")
    check(not BroadcastFolder(broadcast.plan.folder).has_texts(), "the work list is still there")
    outcomes = Counter(row["outcome"] for row in report)
    check(outcomes[Outcome.TOO_LATE] <= centre.count * MOST_TOO_LATE, "most are too late")
    _judge_totals(broadcast, report, [sms for found in outbox.values() for sms in found])
    _judge_again(broadcast, report)
    return outcomes


def _judge_text(broadcast: Broadcast, recipient: Recipient, sms: Sms) -> None:
    """A text that has left."""
    centre, row = broadcast.centre, recipient.row
    at = _moment(sms)
    local = f"{at.astimezone(ZoneInfo(recipient.zone)):%H:%M}"
    check(sms["body"] == recipient.body, f"row {row} got another one's text")
    check(HOURS[0] <= local < HOURS[1], f"row {row} was texted at {local} in {recipient.zone}")
    check(at < centre.not_after, f"row {row} was texted at {at}, after {centre.not_after}")
    check(recipient.number not in centre.opted_out, f"row {row} was texted although they had opted out")
    stopped = centre.stopped.get(recipient.number)
    was_refused = sms["error_code"] == OPTED_OUT
    is_late = stopped is not None and at > stopped
    check(was_refused or not is_late, f"row {row} was texted at {at}, and had written STOP at {stopped}")


def _judge_result(broadcast: Broadcast, recipient: Recipient, row: Row, sms: Sms | None) -> None:
    """What the result file says of a row."""
    centre, name = broadcast.centre, f"row {recipient.row}"
    outcome, code = row["outcome"], row["code"]
    told = f"{name} is told as {outcome} {code}"
    check(row["to"] == f"…{recipient.number[-4:]}", f"{name} is told of …{row['to']}")
    if sms is None:
        is_out = recipient.number in centre.opted_out
        check(outcome == (Outcome.SUPPRESSED if is_out else Outcome.TOO_LATE), f"{told}, and was not texted")
        check(not any(row[one] for one in ("segments", "message_sid", "sms_sid")), f"{told}, with a text")
        return
    wanted = TOLD[sms["status"]]
    check(outcome == wanted, f"{told}, and its text is {sms['status']} {sms['error_code']}")
    check(code == str(sms["error_code"] or ""), f"{told}, and its text has {sms['error_code']}")
    check(bool(row["reason"]) == (wanted is Outcome.NOT_DELIVERED), f"{told}: {row['reason']!r}")
    check(row["segments"] == "1", f"{told}, with {row['segments']} segments")
    check(row["message_sid"] == sms["message_sid"], f"{told}, with the message of another text")
    check(row["channel_sid"] == sms["channel_sid"], f"{told}, with the channel of another text")
    check(row["sms_sid"] in (sms["sid"], ""), f"{told}, with the SMS of another text")
    check(bool(row["sms_sid"]) or wanted is Outcome.SENT, f"{told}, without its SMS")
    apart = centre.passed(datetime.fromisoformat(row["at_utc"]), _moment(sms))
    check(apart < NEAR, f"{told} at {row['at_utc']}, and it left at {sms['date_created']}")


def _judge_totals(broadcast: Broadcast, report: Sequence[Row], sent: list[Sms]) -> None:
    """The funnel, which is the XCom of the report and the extra of the asset event."""
    totals = broadcast.totals
    outcomes = Counter(row["outcome"] for row in report)
    for outcome in Outcome:
        check(totals[outcome] == outcomes[outcome], f"the totals have {totals[outcome]} {outcome}")
    codes = Counter(
        str(sms["error_code"] or 0) for sms in sent if TOLD[sms["status"]] is Outcome.NOT_DELIVERED
    )
    check(totals["not_delivered_by_code"] == codes, f"the totals have {totals['not_delivered_by_code']}")
    counts = (len(report), len(sent), len(sent))
    told = tuple(totals[name] for name in ("rows", "texted", "segments"))
    check(told == counts, f"the totals have {told} rows, texts and segments, of {counts}")
    check(not totals["failed_by_code"], f"the totals have {totals['failed_by_code']}")
    plan = broadcast.plan
    left_out = {name: outcomes[name] for name in (Outcome.SUPPRESSED, Outcome.INVALID, Outcome.REPEATED)}
    check(plan.left_out == left_out, f"the check has left out {plan.left_out}")
    check(plan.texts == len(report) - sum(left_out.values()), f"the check has {plan.texts} texts")


def _judge_again(broadcast: Broadcast, report: Sequence[Row]) -> None:
    """The same campaign once more would text those without a text, and nobody else."""
    refused = {row["row"] for row in report if row["code"] == str(OPTED_OUT)}
    again = broadcast.file("check.csv", AGAIN)
    check(len(again) == len(report), "not each row is checked once more")
    for before, now in zip(report[: broadcast.centre.count], again, strict=False):
        wanted: str = before["outcome"]
        if before["row"] in refused:
            wanted = Outcome.SUPPRESSED
        elif before["segments"]:
            wanted = Outcome.TEXTED_BEFORE
        elif wanted == Outcome.TOO_LATE:
            wanted = "ready"
        is_same = now["row"] == before["row"] and now["outcome"] == wanted
        check(
            is_same, f"row {before['row']} would be {now['outcome']} once more, and was {before['outcome']}"
        )


def _moment(sms: Sms) -> datetime:
    return datetime.fromisoformat(str(sms["date_created"]).replace("Z", "+00:00"))
