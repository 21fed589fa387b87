"""The demo's broadcast: a list of 200 people, and some who reply. What has to come of it is worked out here, too."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from flexsms.demo.sandbox_state import Channel, Json

PEOPLE = 200
LIST = "moved.csv"
REPLIES = 5
BODY = "Dear {first_name}, we have moved: from Monday on you find us at 5 Mill Lane."
REPLY = "Thank you! Are you open on Saturdays?"
_NAMES = ("Ann", "Bo", "Cy", "Di", "Ed", "Flo", "Gus", "Hal", "Ivy", "Jo")


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody on the list."""

    number: str
    first_name: str

    @property
    def body(self) -> str:
        """The text that they get."""
        return BODY.format(first_name=self.first_name)


@dataclass(frozen=True, slots=True)
class Broadcasted:
    """A broadcast as the sandbox saw it.

    :param summary: what the run itself reported
    :param left: what left for handsets
    :param replies: what became of each reply, by who wrote it
    :param channels: every channel after the replies
    """

    summary: Mapping[str, object]
    left: Sequence[Json]
    replies: Mapping[str, Json]
    channels: Mapping[str, Channel]

    def problems(self, people: Sequence[Person]) -> Iterator[str]:
        """Every difference from what a broadcast promises, one sentence each; none is success."""
        left = Counter((sms["to"], sms["body"]) for sms in self.left)
        for person in people:
            if (count := left[person.number, person.body]) != 1:
                yield f"The broadcast's text to …{person.number[-4:]} left {count} times instead of once."
        arrived = sum(sms["status"] == "delivered" for sms in self.left)
        if (told := self.summary["delivered"]) != arrived:
            yield f"The broadcast reports {told} delivered texts; {arrived} were."
        opened = {sms["to"]: sms["channel_sid"] for sms in self.left}
        for number, found in self.replies.items():
            channel = self.channels.get(found["channel_sid"])
            if found["channel_sid"] != opened.get(number):
                yield f"The reply of …{number[-4:]} is not in the conversation of the broadcast."
            elif channel is None or not channel.open_tasks:
                yield f"The reply of …{number[-4:]} has reached no agent."


def people() -> list[Person]:
    """Whom the demo texts: nobody else in the story has such a number."""
    return [Person(f"+1415555{3000 + n}", _NAMES[n % len(_NAMES)]) for n in range(PEOPLE)]


def write_list(path: Path, people: Sequence[Person]) -> None:
    """The list as a CSV file, which nobody else of this machine may read."""
    path.touch(mode=0o600)
    with path.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(["to_number", "first_name"])
        lines.writerows([person.number, person.first_name] for person in people)


def conf(number: str, path: Path) -> Json:
    """The params of the run: at any hour, because the demo is run at any hour."""
    return {
        "campaign": "demo-we-have-moved",
        "recipients": path.as_uri(),
        "from_number": number,
        "body": BODY,
        "hours": "00:00-24:00",
        "max_per_second": 100,
        "approve_over": None,
    }
