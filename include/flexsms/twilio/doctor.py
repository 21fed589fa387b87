"""Examines an account: whether everything is there that the three jobs need, and works.

Nothing is changed. Each check asks for itself, so one that fails hides no other.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp

from flexsms.core.doctor import Finding, Verdict, judge_last_event, judge_limits, judge_skew
from flexsms.core.errors import FlexSmsError, MissingSetting
from flexsms.core.events import StackName
from flexsms.core.message import parse_number
from flexsms.core.redaction import mask_number
from flexsms.core.setup import ACTIVE, EVENT_TYPES, SCHEMA_VERSION, Sink
from flexsms.twilio.account import Account
from flexsms.twilio.event_streams import list_sinks, wrong_types
from flexsms.twilio.limits import DOCUMENTED
from flexsms.twilio.products import ask_products
from flexsms.twilio.setup_numbers import STUDIO, TASK, sms_addresses, sms_flows

OK, NOTE, WRONG = Verdict.OK, Verdict.NOTE, Verdict.WRONG
# How far back the newest event is looked for; the short range first, because a busy workspace has many.
RANGES = (timedelta(hours=1), timedelta(days=1))
NAMED = 5
LastPost = Callable[[], Awaitable[datetime | None]]


class Doctor:
    """Examines one account.

    :param number: a Twilio number that has to be complete; empty: what is missing to any number is only noted
    :param stream_name: the description of our sink
    :param last_post: tells when the newest post came to the inbox, None: none within a day
    """

    def __init__(self, account: Account, *, number: str, stream_name: str, last_post: LastPost) -> None:
        self._account = account
        self._client = account.client
        self._settings = account.settings
        self._number = parse_number("number", number) if number else ""
        self._stream_name = stream_name
        self._last_post = last_post

    async def examine(self) -> list[Finding]:
        """Everything, in the order in which a person would mend it."""
        findings = await self._products()
        if [one.about for one in findings if one.verdict is WRONG] == ["Credentials"]:
            return findings
        checks: list[tuple[str, Callable[[], Awaitable[Sequence[Finding]]]]] = [
            ("Numbers", self._numbers),
            ("Event Streams", self._stream),
            ("Last event", self._last_event),
            ("Signature", self._signature),
            ("Events URL", self._events_url),
        ]
        for about, check in checks:
            try:
                findings += await check()
            except FlexSmsError as error:
                findings.append(Finding(about, WRONG, str(error)))
        for_twilio = not self._settings.base_url
        findings.append(judge_skew(self._account.transport.last_date, self._account.now()))
        findings.append(judge_limits(self._settings.rate_limits, DOCUMENTED, for_twilio=for_twilio))
        return findings

    async def _products(self) -> list[Finding]:
        products = await ask_products(self._account)
        asked = [product for product in products if product.problem != f"{product.field} is empty."]
        if asked and all(product.is_unauthorized for product in asked):
            return [Finding("Credentials", WRONG, asked[0].problem)]
        return [
            Finding(product.name, WRONG if product.problem else OK, product.problem or "answers")
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
            return [Finding("Numbers", WRONG, "no number is set up; run flexsms setup --number +…")]
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
            findings.insert(0, Finding("Numbers", OK, f"{named}{rest} complete"))
        return findings

    async def _flow_problems(self) -> dict[str, list[str]]:
        """What is missing to each number that has a Flex Flow."""
        of_number: dict[str, list[Any]] = {}
        for flow in await sms_flows(self._client):
            of_number.setdefault(str(flow.contact_identity), []).append(flow)
        problems = {}
        for number, flows in of_number.items():
            kinds = {flow.integration_type for flow in flows}
            missing = [f"has no Flex Flow of type {kind}" for kind in (STUDIO, TASK) if kind not in kinds]
            missing += [f"{flow.sid} is not long-lived" for flow in flows if not flow.long_lived]
            missing += [
                f"{flow.sid} is not enabled"
                for flow in flows
                if flow.integration_type == STUDIO and not flow.enabled
            ]
            problems[number] = missing
        return problems

    async def _address_problems(self) -> dict[str, list[str]]:
        """What is missing to each number that has an address configuration."""
        problems = {}
        for one in await sms_addresses(self._client):
            auto = one.auto_creation or {}
            runs_studio = auto.get("enabled") and auto.get("type") == STUDIO and auto.get("studio_flow_sid")
            problems[str(one.address)] = (
                [] if runs_studio else [f"{one.sid} does not create conversations with Studio"]
            )
        return problems

    # Event Streams

    async def _stream(self) -> list[Finding]:
        about, url = "Event Streams", self._settings.events_url
        ours = [sink for sink in await list_sinks(self._client) if sink.description == self._stream_name]
        if not ours:
            if url:
                return [
                    Finding(about, WRONG, f"no sink is described {self._stream_name!r}; run flexsms setup")
                ]
            return [Finding(about, NOTE, "not set up; flexsms_track asks TaskRouter every ten minutes")]
        fitting = [
            sink for sink in ours if sink.kind != "webhook" or sink.configuration.get("destination") == url
        ]
        if not fitting:
            where = "posts elsewhere than to events_url" if url else "posts, and events_url is empty"
            return [Finding(about, WRONG, f"{ours[0].sid} {where}; run flexsms setup --write")]
        sink = next((one for one in fitting if one.status == ACTIVE and one.subscriptions), fitting[0])
        findings = [await self._of_sink(sink), await self._of_subscription(sink)]
        if len(ours) > 1:
            others = ", ".join(one.sid for one in ours if one is not sink)
            findings.append(Finding("Other sinks", WRONG, f"{others} should be gone; run flexsms setup"))
        return findings

    async def _of_sink(self, sink: Sink) -> Finding:
        if sink.status != ACTIVE:
            return Finding("Sink", WRONG, f"{sink.sid} is {sink.status}; run flexsms setup")
        return Finding("Sink", OK, f"{sink.sid} is active")

    async def _of_subscription(self, sink: Sink) -> Finding:
        if not sink.subscriptions:
            return Finding("Subscription", WRONG, f"{sink.sid} has none; run flexsms setup")
        sid = sink.subscriptions[0]
        wrong = await wrong_types(self._client, sid)
        if wrong:
            named = ", ".join(
                f"{kind} has schema version {version}" if version else f"{kind} is missing"
                for kind, version in wrong.items()
            )
            return Finding("Subscription", WRONG, f"{sid}: {named}; run flexsms setup")
        return Finding(
            "Subscription", OK, f"{sid}: {len(EVENT_TYPES)} task events, schema version {SCHEMA_VERSION}"
        )

    async def _last_event(self) -> list[Finding]:
        now, newest = self._account.now(), None
        for back in RANGES:
            source = self._account.taskrouter(lookback=timedelta())
            pages = source.read((self._account.present() - back).isoformat())
            moments = [event.at_ms async for page in pages for event in page.events]
            if moments:
                newest = datetime.fromtimestamp(max(moments) / 1000, UTC)
                break
        inbox = bool(self._settings.inbox_path and self._settings.events_url)
        last_post = await self._last_post() if inbox and newest else None
        return [judge_last_event(newest, last_post, now, inbox=inbox)]

    # The way from Twilio to us

    async def _signature(self) -> list[Finding]:
        if not self._settings.inbox_path and not self._settings.events_url:
            return []
        try:
            _ = self._settings.signing_key
        except MissingSetting as error:
            return [Finding("Signature", WRONG, str(error))]
        return [Finding("Signature", OK, "the Auth Token is there to check it")]

    async def _events_url(self) -> list[Finding]:
        """Whether what is to receive the events refuses a post that Twilio has not signed."""
        about, url = "Events URL", self._settings.events_url
        if not url:
            return []
        timeout = aiohttp.ClientTimeout(total=self._settings.timeout_s)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as http,
                http.post(url, json=[], allow_redirects=False) as answer,
            ):
                status = answer.status
        except (aiohttp.ClientError, TimeoutError, OSError):
            return [
                Finding(
                    about, WRONG, "cannot be reached from here; check its host, and that the API server runs"
                )
            ]
        if status == 403:
            return [Finding(about, OK, "refuses what Twilio has not signed")]
        return [Finding(about, WRONG, f"answers {status} to an unsigned post, not 403; {_advice(status)}")]


def _of_number(number: str, missing: Sequence[str], verdict: Verdict) -> Finding:
    text = f"{'; '.join(missing)}; run flexsms setup --number" if missing else "complete"
    return Finding(f"Number {mask_number(number)}", verdict if missing else OK, text)


def _advice(status: int) -> str:
    if status < 300:
        return "something else takes the posts there, and checks no signature"
    if status < 400:
        return "Twilio does not follow; give the address that it leads to"
    if status == 401:
        return "something before Airflow asks for a login; let posts to this path through"
    if status == 404:
        return "check the path, /flexsms/events, and that the API server has the plugin"
    return "look into the log of the API server"
