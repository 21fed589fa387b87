"""What happens in the month, and to whom."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from flexsms.sandbox.control import simulate
from flexsms.sandbox.products.taskrouter import tasks

from .centre import CLEANUP_HOUR, DAY_S, HOUR_S, RETENTION_DAYS, SHIFT, Centre

DAYS = 30
# After it nobody writes any more, so that every channel comes to its end.
QUIET_DAYS = 9
# What TaskRouter's list of open tasks is asked for only after a while: see the plan of a cleanup.
LOST_EVENT_DAYS = 3
OTHER_WORKSPACE = "WS" + "5ec0" * 8


@dataclass
class Month:
    """What became of everything.

    :param down: when a channel was first found retired, seconds since the beginning
    :param early: what was retired though it was not to be
    """

    centre: Centre
    others: dict[str, str] = field(default_factory=dict)
    lossy: set[int] = field(default_factory=set)
    down: dict[str, float] = field(default_factory=dict)
    early: list[str] = field(default_factory=list)

    # The people, by what befalls them

    def ordinary(self, who: int) -> None:
        """Writes now and then, once a week perhaps; each time it is a new matter."""
        for week in range(4):
            self.writes(who, week * 7 + self.draw(0, 6))

    def regular(self, who: int) -> None:
        """Writes so often that the window is never over."""
        for day in range(0, 24, 1):
            self.writes(who, day)

    def transferred(self, who: int) -> None:
        """Is handed to a second agent."""
        for week in range(0, 4, 2):
            day = week * 7 + self.draw(0, 5)
            self.writes(who, day, hour=9)
            self.centre.at_hour(day, 10.5, lambda: self.centre.transfer(who))

    def surveyed(self, who: int) -> None:
        """Is asked how it was, for hours after the agent has gone."""
        day = self.draw(0, 20)
        self.writes(who, day, hour=9)
        surveys = []
        self.centre.at_hour(day, 10.5, lambda: surveys.append(self.centre.survey(who)))

        def end() -> None:
            if surveys[0].status in ("pending", "reserved"):
                tasks.finish(self.centre.world, surveys[0], "canceled", "survey is over")

        self.centre.at_hour(day + 1, 7, end)

    def parked(self, who: int) -> None:
        """Is parked by the agent, and writes again on the day after; nobody is told."""
        day = self.draw(0, 20)
        self.writes(who, day, hour=9)

        def park() -> None:
            for task in self.centre.open_tasks(who):
                simulate.agent(self.centre.world, "park", task_sid=task.sid)

        self.centre.at_hour(day, 10.5, park)
        self.centre.at_hour(day + 1, 15, lambda: self.centre.write_to_nobody(who))

    def declined(self, who: int) -> None:
        """Gets a text of an agent who declines the task, and answers."""
        day = self.draw(1, 20)
        self.sends(who, day, 9.0, route="agent", worker=True)

        def decline() -> None:
            for task in self.centre.open_tasks(who):
                if task.status in ("pending", "reserved"):
                    tasks.finish(self.centre.world, task, "canceled", "declined")

        self.centre.at_hour(day, 9.05, decline)
        self.writes(who, day, hour=12)

    def timed_out(self, who: int) -> None:
        """Gets a text on Friday evening whose task nobody takes, and answers on Sunday; nobody is told."""
        day = 4 + 7 * self.draw(0, 2)
        self.sends(who, day, 19.2, route="agent", ignored=True)
        self.centre.at_hour(day + 2, 11, lambda: self.centre.write_to_nobody(who))

    def informed(self, who: int) -> None:
        """Gets a text that needs no answer."""
        for week in range(4):
            self.sends(who, week * 7 + self.draw(0, 5), 11.0, route="studio")

    def answering(self, who: int) -> None:
        """Answers a text that needs none."""
        day = self.draw(0, 20)
        self.sends(who, day, 11.0, route="studio")
        self.writes(who, day, hour=14)

    def end_lost(self, who: int) -> None:
        """Is served, and the event of it never comes."""
        self.lossy.add(who)
        self.writes(who, self.draw(0, 15))
        self.lose(who, "task.completed")

    def begin_lost(self, who: int) -> None:
        """Writes, and the first event of it never comes."""
        self.lossy.add(who)
        self.writes(who, self.draw(0, 15))
        self.lose(who, "task.created")

    # What they are made of

    def draw(self, least: int, most: int) -> int:
        """A number left to chance."""
        return self.centre.random.randint(least, most)

    def writes(self, who: int, day: float, hour: float | None = None) -> None:
        """A text of a customer, at any hour of the day if none is named."""
        hour = self.centre.random.uniform(0, 24) if hour is None else hour
        if day == 0 and hour < 9:
            hour = 9.0
        self.centre.at_hour(day, hour, lambda: self.centre.write(who))

    def sends(
        self, who: int, day: float, hour: float, *, route: str, worker: bool = False, ignored: bool = False
    ) -> None:
        """A text to a customer."""
        name = f"send-{who}-{day}"
        step = {"do": "send", "job": name, "who": who, "route": route, "worker": worker}
        self.centre.at_hour(day, hour, lambda: self.centre._do(step))
        if ignored:

            def ignore() -> None:
                for task in self.centre.open_tasks(who):
                    self.centre.leave_alone(task.sid)

            self.centre.at_hour(day, hour + 0.1, ignore)

    def lose(self, who: int, kind: str) -> None:
        """Events of this kind about a customer never come."""
        before = self.centre._is_lost

        def is_lost(row: Any) -> bool:
            mine = (
                getattr(row, "type", "") == kind and self.centre.customer(who) in row.data["task_attributes"]
            )  # type: ignore[attr-defined]
            return mine or before(row)

        self.centre.lose_events(is_lost)

    # What runs

    def other_traffic(self) -> None:
        """E-mail, WhatsApp, web chats and calls in the same workspace, and another workspace in the same stream."""
        centre = self.centre

        def open_other(kind: str, address: str, is_kept: bool) -> None:
            task = centre.other_channel(kind, address)
            self.others[task.conversation_sid or task.channel_sid] = kind
            if is_kept:
                centre.leave_alone(task.sid)

        for number in range(6):
            kind = ("whatsapp", "email", "web")[number % 3]
            address = (
                f"whatsapp:+120255507{number:02d}" if kind == "whatsapp" else f"person{number}@example.com"
            )
            centre.at_hour(
                self.draw(0, 20),
                10,
                lambda k=kind, a=address, n=number: open_other(k, a, n >= 4),  # type: ignore[misc]
            )
        for day in range(0, DAYS, 2):
            centre.at_hour(day, 13, centre.call)
        for day in (3, 11, 19):

            def theirs() -> None:
                self.others[centre.foreign(OTHER_WORKSPACE)] = "another workspace"

            centre.at_hour(day, 14, theirs)

    def jobs(self) -> None:
        """Shifts, tracking and cleaning up, until long after the month."""
        centre = self.centre
        for hour in range(9, (DAYS + QUIET_DAYS) * 24):
            day, at = divmod(hour, 24)
            if at in SHIFT:
                centre.at_hour(day, at + 0.5, centre.shift)
            centre.at_hour(day, at, lambda name=f"track-{hour}": centre._do({"do": "track", "job": name}))  # type: ignore[misc]
        for day in range(1, DAYS + QUIET_DAYS):
            cleanup = {"do": "cleanup", "job": f"cleanup-{day}"}
            centre.at_hour(day, CLEANUP_HOUR + 0.1, lambda step=cleanup: centre._do(step))  # type: ignore[misc]
            centre.at_hour(day, CLEANUP_HOUR + 0.6, self.look_around)

    def look_around(self) -> None:
        """After a cleanup: what is retired now, and whether it was to be."""
        centre = self.centre
        cleaned_s = centre.universe.now_s - 0.5 * HOUR_S
        for sid in {life.channel_sid for life in centre.lives.values() if life.channel_sid}:
            if sid in self.down or not centre.is_down(sid):
                continue
            self.down[sid] = cleaned_s
            lives = centre.lives_on(sid)
            open_ones = [life for life in lives if life.ended_s is None]
            newest = max((life.ended_s or 0 for life in lives), default=0)
            if open_ones or cleaned_s - newest < RETENTION_DAYS * DAY_S:
                ago_h = (cleaned_s - newest) / HOUR_S
                self.early.append(
                    f"{sid} in hour {cleaned_s / HOUR_S:.0f}: last task ended {ago_h:.1f} h ago"
                )


PEOPLE = (
    Month.ordinary, Month.ordinary, Month.ordinary, Month.regular, Month.transferred, Month.transferred,
    Month.surveyed, Month.surveyed, Month.parked, Month.parked, Month.declined, Month.declined, Month.timed_out,
    Month.timed_out, Month.informed, Month.answering, Month.end_lost, Month.end_lost, Month.begin_lost,
)  # fmt: skip
