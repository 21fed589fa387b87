"""Examines an account: whether everything is there that the three jobs need, and works.

Nothing is changed. Each check asks for itself, so one that fails hides no other.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from flexsms.core.checks import (
    Arrivals,
    Failed,
    Finding,
    Verdict,
    judge_last_event,
    judge_limits,
    judge_rejected,
    judge_skew,
    judge_unread,
    once_each,
)
from flexsms.core.exceptions import FlexSmsError, NotAuthorized
from flexsms.core.phone_numbers import parse_number
from flexsms.core.redaction import mask_number
from flexsms.core.stack_name import StackName
from flexsms.twilio.account import Account
from flexsms.twilio.client.endpoints import documented
from flexsms.twilio.connection_check import Product, ask_products, other_account
from flexsms.twilio.doctor.event_streams import StreamDoctor
from flexsms.twilio.doctor.notifications import ABOUT as NOTIFICATIONS
from flexsms.twilio.doctor.notifications import notifications
from flexsms.twilio.doctor.routing import RoutingDoctor
from flexsms.twilio.stacks.own_numbers import STUDIO, TASK, flow_of, sms_addresses, sms_flows

OK, NOTE, WRONG = Verdict.OK, Verdict.NOTE, Verdict.WRONG
# How far back the newest event is looked for; the short range first, because a busy workspace has many.
RANGES = (timedelta(hours=1), timedelta(days=1))
NAMED = 5
LookIntoInbox = Callable[[], Awaitable[Arrivals]]


class Doctor:
    """Examines one account.

    :param number: a Twilio number that has to be complete; empty: what is missing to any number is only noted
    :param stream_name: the description of our sink
    :param arrivals: tells what has come to the inbox
    :param tell: called with the name of each check when it begins
    """

    def __init__(
        self,
        account: Account,
        *,
        number: str,
        stream_name: str,
        arrivals: LookIntoInbox,
        tell: Callable[[str], None],
    ) -> None:
        self._account = account
        self._client = account.client
        self._settings = account.settings
        self._number = parse_number("number", number) if number else ""
        self._routing = RoutingDoctor(account)
        self._stream = StreamDoctor(account.client, account.settings, stream_name)
        self._arrivals = arrivals
        self._tell = tell

    async def examine(self) -> list[Finding]:
        """Everything, in the order in which a person would mend it."""
        self._tell("Products")
        products = await ask_products(self._account)
        if for_all := _of_all(products):
            return [for_all]
        findings = self._of_products(products)
        checks: list[tuple[str, Callable[[], Awaitable[Sequence[Finding]]]]] = [
            ("Workflow", self._routing.workflow),
            ("Named agents", self._routing.named_agents),
            ("Studio flow", self._routing.studio),
            ("Open tasks", self._routing.open_tasks),
            ("Flex's conversations", self._routing.service),
            ("Numbers", self._numbers),
            ("Moving over", self._routing.moving),
            (NOTIFICATIONS, lambda: notifications(self._account)),
            ("Event Streams", self._stream.sinks),
            ("Last event", self._last_event),
            ("Inbox", self._inbox),
            ("Signature", self._stream.signature),
            ("Events URL", self._stream.events_url),
        ]
        for about, check in checks:
            self._tell(about)
            try:
                findings += await check()
            except FlexSmsError as error:
                findings.append(Failed.of(about, error))
        for_twilio = not self._settings.base_url
        dated = self._account.transport.twilio_now is not None
        findings.append(judge_skew(self._account.skew() if dated else None))
        findings.append(judge_limits(self._settings.rate_limits, documented, for_twilio=for_twilio))
        return once_each(findings)

    def _of_products(self, products: Sequence[Product]) -> list[Finding]:
        other = other_account(self._account, products)
        of_account = [Finding("Account", WRONG, other)] if other else []
        return of_account + [
            Failed.of(product.name, product.error) if product.error else Finding(product.name, OK, "answers")
            for product in products
        ]

    # Numbers

    async def _numbers(self) -> list[Finding]:
        problems = await (
            self._flow_problems() if self._settings.stack is StackName.CHAT else self._address_problems()
        )
        if self._number:
            missing = problems.get(self._number, ["is not set up"])
            return [_of_number(self._number, missing, WRONG)]
        if not problems:
            return [Finding("Numbers", WRONG, "no number is set up; run flexsms setup --number … --write")]
        whole = [number for number, missing in problems.items() if not missing]
        # Other systems may have numbers in the account as well: theirs need not be as ours.
        findings = [
            _of_number(number, missing, NOTE if whole else WRONG)
            for number, missing in problems.items()
            if missing
        ]
        if len(findings) > NAMED:
            more = f"{len(findings) - NAMED} more are not complete; ask for one with --number"
            findings[NAMED:] = [Finding("Numbers", findings[0].verdict, more)]
        if whole:
            named = ", ".join(mask_number(number) for number in whole[:NAMED])
            rest = f" and {len(whole) - NAMED} more" if len(whole) > NAMED else ""
            findings.insert(
                0, Finding("Numbers", OK, f"{named}{rest} {'is' if len(whole) == 1 else 'are'} complete")
            )
        return findings

    async def _flow_problems(self) -> dict[str, list[str]]:
        """What each number with a Flex Flow lacks."""
        flows = await sms_flows(self._client)
        problems = {}
        for number in dict.fromkeys(str(flow.contact_identity) for flow in flows):
            found = {kind: flow_of(flows, number, kind) for kind in (STUDIO, TASK)}
            missing = [f"has no Flex Flow of type {kind}" for kind, flow in found.items() if flow is None]
            there = [flow for flow in found.values() if flow is not None]
            missing += [f"{flow.sid} is not long-lived" for flow in there if not flow.long_lived]
            missing += [problem for flow in there if (problem := await self._route_problem(flow))]
            studio = found[STUDIO]
            missing += [f"{studio.sid} is not enabled"] if studio is not None and not studio.enabled else []
            problems[number] = missing
        return problems

    async def _route_problem(self, flow: Any) -> str:
        """What is wrong with where a Flex Flow leads, empty: nothing, or this login may not look."""
        to = flow.integration or {}
        with suppress(NotAuthorized):
            if flow.integration_type == STUDIO:
                problem = await self._routing.flow_problem(str(to.get("flow_sid")))
            else:
                problem = await self._routing.task_problem(
                    str(to.get("workspace_sid")), str(to.get("workflow_sid"))
                )
            return f"{flow.sid}: {problem}" if problem else ""
        return ""

    async def _address_problems(self) -> dict[str, list[str]]:
        """What each number with an address configuration lacks."""
        problems = {}
        for one in await sms_addresses(self._client):
            auto = one.auto_creation or {}
            runs_studio = auto.get("enabled") and auto.get("type") == STUDIO and auto.get("studio_flow_sid")
            missing = [] if runs_studio else [f"{one.sid} does not create conversations with Studio"]
            if runs_studio:
                with suppress(NotAuthorized):
                    problem = await self._routing.flow_problem(str(auto["studio_flow_sid"]))
                    missing = [f"{one.sid}: {problem}"] if problem else []
            problems[str(one.address)] = missing
        return problems

    # Events that have come

    async def _last_event(self) -> list[Finding]:
        now, newest = self._account.now(), None
        for back in RANGES:
            source = self._account.taskrouter(lookback=timedelta())
            async with aclosing(source.read((self._account.present() - back).isoformat())) as pages:
                moments = [event.at_ms async for page in pages for event in page.events]
            if moments:
                newest = datetime.fromtimestamp(max(moments) / 1000, UTC)
                break
        inbox = bool(self._settings.inbox_path and self._settings.events_url)
        arrivals = await self._arrivals() if inbox and newest else None
        return [judge_last_event(newest, arrivals, now)]

    async def _inbox(self) -> list[Finding]:
        if not self._settings.inbox_path:
            return []
        arrivals, now = await self._arrivals(), self._account.now()
        return [judge_unread(arrivals, now), judge_rejected(arrivals, now)]


def _of_all(products: Sequence[Product]) -> Finding | None:
    """What keeps every product from answering, None: at least one does, or there is more than one reason."""
    asked = [product for product in products if product.is_asked]
    first = asked[0].error if asked else None
    if first is None:
        return None
    if all(product.is_unreached for product in asked):
        return Failed.of("Network", first)
    if all(product.is_refused for product in asked):
        found = Failed.of("Credentials", first)
        names = ", ".join(product.name for product in asked)
        return replace(found, text=f"{found.text} None of these can be used: {names}.")
    return None


def _of_number(number: str, missing: Sequence[str], verdict: Verdict) -> Finding:
    text = f"{'; '.join(missing)}; run flexsms setup --number … --write" if missing else "is complete"
    return Finding(f"Number {mask_number(number)}", verdict if missing else OK, text)
