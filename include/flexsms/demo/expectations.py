"""What has to come out of the story, worked out from the sandbox's own tasks and events, and what did come out.

Pure: it compares snapshots of the sandbox, its journal and its outbox, and knows neither stack nor flexsms's rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flexsms.demo.sandbox_state import Channel, Json


@dataclass(frozen=True, slots=True)
class Cleaned:
    """A run of cleanup as the sandbox saw it.

    :param started: seconds since 1970 by the sandbox's clock, and ``ended`` likewise
    :param before: every channel when it started, and ``after`` when it had ended
    :param summary: what the run itself reported
    :param calls: the journal of the run
    """

    started: float
    ended: float
    before: Mapping[str, Channel]
    after: Mapping[str, Channel]
    summary: Mapping[str, Any]
    calls: tuple[Json, ...]

    @property
    def writes(self) -> list[str]:
        """The calls that changed something, or tried to."""
        return [f"{call['method']} {call['path']}" for call in self.calls if call["method"] != "GET"]

    @property
    def newly_retired(self) -> set[str]:
        """The channels that were live before and are not any more."""
        return {
            sid
            for sid, channel in self.after.items()
            if channel.retired and sid in self.before and not self.before[sid].retired
        }

    def problems(self, retention_days: float) -> Iterator[str]:
        """Every difference from what the tasks demand, one sentence each; none is success."""
        surely = {sid for sid, one in self.before.items() if one.due(self.started, retention_days)}
        perhaps = {sid for sid, one in self.before.items() if one.due(self.ended, retention_days)}
        for sid, before in self.before.items():
            after = self.after.get(sid)
            if after is None:
                yield f"{sid} is gone, though nothing was to be deleted."
            elif sid in surely and not after.retired:
                yield f"{sid} was due and is not retired: {_told(after)}."
            elif sid in surely and _foreign(before) != _foreign(after):
                yield f"{sid} lost attributes that are not ours: {_foreign(before)} became {_foreign(after)}."
            elif sid not in perhaps and not after.same(before):
                yield f"{sid} was not due and was touched: {_told(before)} became {_told(after)}."
        done, failed = self.summary.get("deactivated"), self.summary.get("failed")
        if failed:
            yield f"Cleanup reports {failed} failed channels: {self.summary.get('failures')}."
        if done != len(self.newly_retired):
            yield f"Cleanup reports {done} deactivated channels; {len(self.newly_retired)} went from live to retired."

    def problems_of_repetition(self) -> Iterator[str]:
        """What a run that follows at once must not have done."""
        if self.summary.get("deactivated") or self.summary.get("deleted"):
            yield f"The second cleanup retired channels again: {dict(self.summary)}."
        if self.writes:
            yield f"The second cleanup made {len(self.writes)} write calls, the first of them {self.writes[0]}."
        for sid, before in self.before.items():
            if sid not in self.after or not self.after[sid].same(before):
                yield f"The second cleanup touched {sid}."


def _told(channel: Channel) -> str:
    return ", ".join([str(dict(channel.attributes)), *channel.words])


def _foreign(channel: Channel) -> dict[str, Any]:
    return {name: value for name, value in channel.attributes.items() if name not in ("status", "long_lived")}


def problems_of_sending(texts: Iterable[tuple[str, str]], outbox: Iterable[Json]) -> Iterator[str]:
    """Texts that did not leave exactly once.

    :param texts: number and body of each that was to be sent
    :param outbox: everything that left for a handset
    """
    left = [(sms["to"], sms["body"]) for sms in outbox]
    for number, body in texts:
        if (count := left.count((number, body))) != 1:
            yield f"The text to …{number[-4:]} left {count} times instead of once."


def problems_of_delivery(told: Iterable[Json], outbox: Iterable[Json]) -> Iterator[str]:
    """Texts that are said to have arrived and have not, or the other way round.

    :param told: ``sms_sid`` and ``status`` of each text whose delivery was waited for
    :param outbox: everything that left for a handset
    """
    statuses = {sms["sid"]: sms["status"] for sms in outbox}
    for one in told:
        if (status := statuses.get(one["sms_sid"], "unknown to the sandbox")) != one["status"]:
            yield f"The text {one['sms_sid']} is said to be {one['status']} and is {status}."
