"""What experiments make for themselves on an account, and take away again: nothing else is ever changed."""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

from flexsms.core.assumptions import ASSUMPTIONS
from flexsms.core.exceptions import FlexSmsError, InvalidInput, NotFound, TwilioError
from flexsms.core.phone_numbers import parse_number
from flexsms.core.setup_report import WEBHOOK, webhook
from flexsms.core.stack_name import StackName
from flexsms.twilio.account import Account
from flexsms.twilio.client.unexpected_errors import contained
from flexsms.twilio.setup.sinks import list_sinks
from flexsms.twilio.taskrouter.task_list import OPEN_STATUSES, attributes_of
from flexsms.twilio.taskrouter.tasks import end_task

T = TypeVar("T")
Remove = Callable[[], Awaitable[object]]
# Asks somebody with the handset, or an agent, for something, which need not be done when it returns.
Person = Callable[[str], None]

MARK = "flexsms_verify"
# What is forgotten all the same ends by itself: seconds.
TASK_TIMEOUT_S = 600
REASON = "flexsms verify is done with it"


class NotPossible(Exception):
    """An experiment cannot be made; the text is a sentence that says why."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What to try, and with whom. Make it with :meth:`parse`.

    :param number: the Twilio number to try with, E.164; empty: none
    :param handset: a handset whose owner knows of it, E.164; empty: none
    :param worker_sid: WK… of an agent who knows of it; empty: none
    :param stack: the one to try, None: both
    :param only: the names of the assumptions to try; empty: all
    """

    number: str = field(default="", repr=False)
    handset: str = field(default="", repr=False)
    worker_sid: str = ""
    stack: StackName | None = None
    only: tuple[str, ...] = ()

    @classmethod
    def parse(cls, *, number: str, handset: str, worker_sid: str, stack: str, only: Sequence[str]) -> Wishes:
        """Check what a person gives; everything may be empty.

        :raises InvalidInput: naming what is wrong
        """
        if worker_sid and not re.fullmatch(r"WK[0-9a-fA-F]{32}", worker_sid):
            raise InvalidInput("worker", "is no SID of an agent", "give WK… from TaskRouter")
        unknown = sorted(set(only) - set(ASSUMPTIONS))
        if unknown:
            raise InvalidInput("only", f"knows no {unknown[0]}", f"give one of {', '.join(ASSUMPTIONS)}")
        return cls(
            number=parse_number("number", number) if number else "",
            handset=parse_number("handset", handset) if handset else "",
            worker_sid=worker_sid,
            stack=StackName(stack) if stack else None,
            only=tuple(only),
        )

    def wants(self, name: str) -> bool:
        """Whether an assumption is to be tried."""
        return not self.only or name in self.only


@dataclass(frozen=True, slots=True)
class Patience:
    """How long experiments wait.

    :param machine: for Twilio
    :param ended: after a task has ended, for what becomes of it and of its conversation
    :param person: for somebody to do what they were asked for
    :param every: between two polls
    """

    machine: timedelta = timedelta(seconds=60)
    ended: timedelta = timedelta(seconds=60)
    person: timedelta = timedelta(minutes=3)
    every: timedelta = timedelta(seconds=1)


class Own:
    """Makes things that are marked as ours, and removes them.

    :param person: asks the owner of the handset, or an agent, for help
    """

    def __init__(
        self, account: Account, wishes: Wishes, *, person: Person, patience: Patience | None = None
    ) -> None:
        self.client = account.client
        self.settings = account.settings
        self.wishes = wishes
        self.patience = patience or Patience()
        self.mark = f"{MARK}.{uuid.uuid4().hex[:12]}"
        self.sids: set[str] = set()
        self.left: list[str] = []
        self._person = person
        self._removals: list[tuple[str, Remove]] = []

    # Taking away

    def remove_later(self, what: str, remove: Remove) -> None:
        """Remember how something goes away. Before it is made, because the answer may be lost.

        :param what: names it for a person who has to do it, should this fail
        """
        self._removals.append((what, remove))

    async def clear(self) -> None:
        """Remove everything, the newest first. What cannot be removed is named in ``left``."""
        while self._removals:
            what, remove = self._removals[-1]
            try:
                with contained(), suppress(NotFound):
                    await remove()
            except FlexSmsError as error:
                self.left.append(f"{what}: {error}")
            self._removals.pop()

    def named_left(self) -> list[str]:
        """What is still there: what could not be removed, and what nobody has come to."""
        return [*self.left, *(what for what, _ in self._removals)]

    # Waiting

    async def poll(
        self, find: Callable[[], Awaitable[T | None]], within: timedelta | None = None
    ) -> T | None:
        """Look again and again; None when nothing turns up.

        :param within: how long; as long as Twilio gets, unless given
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + (self.patience.machine if within is None else within).total_seconds()
        while True:
            found = await find()
            if found is not None or loop.time() >= deadline:
                return found
            await asyncio.sleep(self.patience.every.total_seconds())

    async def ask(self, request: str, find: Callable[[], Awaitable[T | None]]) -> T:
        """Ask a person for something, and wait until it shows.

        :raises NotPossible: when it does not
        """
        self._person(f"{request} Waiting for {self.patience.person.total_seconds():g} s.")
        found = await self.poll(find, self.patience.person)
        if found is None:
            raise NotPossible("nobody did what was asked for in time")
        return found

    # Making

    async def sync_service(self) -> Any:
        """A Sync service."""
        services = self.client.sync.v1.services

        async def remove() -> None:
            for one in await services.list_async(page_size=100):
                if one.friendly_name == self.mark:
                    await services(str(one.sid)).delete_async()

        self.remove_later(f"Sync service {self.mark}", remove)
        return services(self._made(await services.create_async(friendly_name=self.mark)))

    async def sink(self, url: str) -> Any:
        """An Event Streams sink without a subscription, to which nothing is ever sent."""
        sinks = self.client.events.v1.sinks

        async def remove() -> None:
            for one in await list_sinks(self.client):
                if one.description == self.mark:
                    await sinks(one.sid).delete_async()

        self.remove_later(f"Event Streams sink {self.mark}", remove)
        sink: Any = await sinks.create_async(
            description=self.mark,
            sink_configuration=dict(webhook(url).configuration),
            sink_type=WEBHOOK,  # type: ignore[arg-type]  # the SDK names a class whose members are texts
        )
        self._made(sink)
        return sink

    def _made(self, thing: Any) -> str:
        """The SID of what was made, which a report may show."""
        sid = str(thing.sid)
        self.sids.add(sid)
        return sid

    # Tasks

    @property
    def workspace(self) -> Any:
        """The workspace, to look at; only our own tasks are changed in it."""
        return self.client.taskrouter.v1.workspaces(self.settings.need("workspace_sid"))

    @property
    def attributes(self) -> dict[str, str]:
        """The attributes by which a task is known as ours."""
        return {MARK: self.mark, "name": "flexsms verify"}

    async def tasks(self, attribute: str = MARK, value: str = "", **asked: Any) -> list[Any]:
        """The tasks that have an attribute of ours, whatever Twilio makes of the expression that asks for them.

        :param value: our mark unless given
        """
        value = value or self.mark
        found = await self.workspace.tasks.list_async(
            evaluate_task_attributes=f'{attribute} == "{value}"', **asked
        )
        return [task for task in found if (await attributes_of(task) or {}).get(attribute) == value]

    async def end_tasks(self, attribute: str = MARK, value: str = "") -> None:
        """End those tasks."""
        for task in await self.tasks(attribute, value, assignment_status=OPEN_STATUSES):
            await end_task(self.workspace, task, REASON)

    async def task(self) -> Any:
        """A task of no channel."""
        self.remove_later(f"tasks with {MARK} {self.mark}", self.end_tasks)
        workflow = self.settings.workflow_sid
        task = await self.workspace.tasks.create_async(
            attributes=json.dumps(self.attributes),
            timeout=TASK_TIMEOUT_S,
            **({"workflow_sid": workflow} if workflow else {}),
        )
        self._made(task)
        return task


async def refusal(call: Awaitable[object]) -> TwilioError | None:
    """Twilio's refusal of a call, None: it did it."""
    try:
        await call
    except TwilioError as error:
        if not error.status:
            raise
        return error
    return None
