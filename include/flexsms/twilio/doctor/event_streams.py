"""Examines Event Streams, from the sink at Twilio to the web app that takes its posts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import aiohttp
from twilio.request_validator import SIGNATURE_HEADER, RequestValidator
from twilio.rest import Client
from yarl import URL

from flexsms.core.checks import Finding, Verdict
from flexsms.core.exceptions import MissingSetting, Unreachable
from flexsms.core.setup_report import ACTIVE, KINESIS, SUBSCRIBED, Sink
from flexsms.twilio.client.network import env_proxy, said_of
from flexsms.twilio.client.settings import TwilioSettings
from flexsms.twilio.setup.sinks import list_sinks, wrong_types

OK, NOTE, WRONG = Verdict.OK, Verdict.NOTE, Verdict.WRONG
# Of no events: whoever takes it keeps nothing, and answers 204 only if it could.
BODY = b"[]"


class StreamDoctor:
    """Examines the way of the events.

    :param name: the description of our sink
    """

    def __init__(self, client: Client, settings: TwilioSettings, name: str) -> None:
        self._client = client
        self._settings = settings
        self._name = name

    async def sinks(self) -> list[Finding]:
        """Whether a sink of ours leads where the connection says, works, and is the only one."""
        about, url, stream = "Event Streams", self._settings.events_url, self._settings.kinesis_stream
        ours = [sink for sink in await list_sinks(self._client) if sink.description == self._name]
        if not ours:
            if url or stream:
                return [
                    Finding(
                        about, WRONG, f"no sink has the description {self._name!r}; run flexsms setup --write"
                    )
                ]
            return [Finding(about, NOTE, "is not set up; flexsms_track asks TaskRouter on its schedule")]
        fitting = [sink for sink in ours if sink.posts_to(url) or sink.writes_to(stream)]
        if not fitting:
            return [Finding(about, WRONG, self._elsewhere(ours[0]))]
        sink = next((one for one in fitting if one.status == ACTIVE and one.subscriptions), fitting[0])
        findings = [_of_sink(sink), await self._of_subscription(sink), *self._idle(ours)]
        others = ", ".join(one.sid for one in ours if one is not sink)
        if others:
            # Only a run that names its target takes a stream's sink away, or another one for a stream.
            option = f"{_option(sink)} …" if any(one.kind == KINESIS for one in ours) else ""
            said = f"{others} should be gone; run flexsms setup{option} --write"
            findings.append(Finding("Other sinks", WRONG, said))
        return findings

    def _elsewhere(self, sink: Sink) -> str:
        if sink.kind == KINESIS:
            is_given, does, field = bool(self._settings.kinesis_stream), "writes", "kinesis_stream"
        else:
            is_given, does, field = bool(self._settings.events_url), "posts", "events_url"
        where = f"{does} elsewhere than to {field}" if is_given else f"{does}, and {field} is empty"
        return f"{sink.sid} {where}; run flexsms setup{_option(sink)} … --write, or correct {field}"

    def _idle(self, ours: Sequence[Sink]) -> list[Finding]:
        """What the connection names besides the way that events go."""
        url, stream = self._settings.events_url, self._settings.kinesis_stream
        idle = {
            "events_url": url and not any(sink.posts_to(url) for sink in ours),
            "kinesis_stream": stream and not any(sink.writes_to(stream) for sink in ours),
        }
        return [
            Finding("Second way", WRONG, f"no sink leads to {field}; empty it")
            for field, is_idle in idle.items()
            if is_idle
        ]

    async def _of_subscription(self, sink: Sink) -> Finding:
        if not sink.subscriptions:
            return Finding("Subscription", WRONG, f"{sink.sid} has none; run flexsms setup --write")
        sid = sink.subscriptions[0]
        wrong = await wrong_types(self._client, sid)
        if wrong:
            named = ", ".join(
                f"{kind} has schema version {version}" if version else f"{kind} is missing"
                for kind, version in wrong.items()
            )
            return Finding("Subscription", WRONG, f"{sid}: {named}; run flexsms setup --write")
        return Finding("Subscription", OK, f"{sid}: {SUBSCRIBED}")

    async def signature(self) -> list[Finding]:
        """Whether the connection holds the key that Twilio signs with."""
        if not self._settings.inbox_path and not self._settings.events_url:
            return []
        try:
            _ = self._settings.signing_key
        except MissingSetting as error:
            return [Finding("Signature", WRONG, str(error))]
        return [Finding("Signature", OK, "the Auth Token is there to check it")]

    async def events_url(self) -> list[Finding]:
        """Whether what is to receive the events takes a post that Twilio has signed, and no other.

        Refusing alone proves nothing: so does a firewall, and what Twilio is refused it gives up.
        """
        about, url = "Events URL", self._settings.events_url
        if not url and self._settings.inbox_path:
            self._settings.need("events_url")  # the doctor says what is missing
        if not url:
            return []
        try:
            status = await self._post(url, {})
            if status != 403:
                said = f"answers {status} to an unsigned post, not 403; {_advice(status)}"
                return [Finding(about, WRONG, said)]
            try:
                key = self._settings.signing_key
            except MissingSetting:
                said = "refuses what Twilio has not signed; set auth_token to try a signed post, too"
                return [Finding(about, NOTE, said)]
            status = await self._post(*signed(url, key, BODY))
        except (aiohttp.ClientError, TimeoutError, OSError, Unreachable) as error:
            return [Finding(about, WRONG, _unreached(error, url))]
        if status == 204:
            return [Finding(about, OK, "takes what Twilio has signed, and refuses what it has not")]
        said = f"answers {status} to a post signed as Twilio signs, not 204; {_advice_signed(status)}"
        return [Finding(about, WRONG, said)]

    async def _post(self, url: str, headers: Mapping[str, str]) -> int:
        timeout = aiohttp.ClientTimeout(total=self._settings.timeout_s)
        headers = {"Content-Type": "application/json", **headers}
        async with (
            aiohttp.ClientSession(timeout=timeout) as http,
            # As it is: written another way, it would no longer be what was signed.
            http.post(
                URL(url, encoded=True),
                data=BODY,
                headers=headers,
                allow_redirects=False,
                proxy=env_proxy(url),
            ) as answer,
        ):
            return answer.status


def signed(url: str, key: str, body: bytes) -> tuple[str, dict[str, str]]:
    """The URL and the headers with which Twilio would post a body.

    Source: https://www.twilio.com/docs/usage/webhooks/webhooks-security
    """
    url = f"{url}?bodySHA256={hashlib.sha256(body).hexdigest()}"
    signature = RequestValidator(key).compute_signature(url, {})  # type: ignore[no-untyped-call]
    return url, {SIGNATURE_HEADER: signature}


def _unreached(error: Exception, url: str) -> str:
    if isinstance(error, Unreachable):
        return str(error)
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ClientHttpProxyError):
        said = said_of(error, str(URL(url, encoded=True).host))
        if said is not None:
            return f"cannot be reached from here: {said[1]}"
    return "cannot be reached from here; check its host, and that the API server runs"


def _of_sink(sink: Sink) -> Finding:
    if sink.status != ACTIVE:
        return Finding("Sink", WRONG, f"{sink.sid} is {sink.status}; run flexsms setup --write")
    return Finding("Sink", OK, f"{sink.sid} is active")


def _option(sink: Sink) -> str:
    """What a run of set-up has to name for a sink like this one to be the only one."""
    return " --kinesis" if sink.kind == KINESIS else " --events-url"


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


def _advice_signed(status: int) -> str:
    if status < 300:
        return "something else takes the posts there; check the path, /flexsms/events"
    if status == 403:
        return (
            "give the connection that [flexsms] twilio_conn_id names this auth_token and events_url, or let the posts "
            "through what stands before Airflow"
        )
    if status == 503:
        return "give the connection that [flexsms] twilio_conn_id names an inbox_path, an events_url and an auth_token"
    return _advice(status)
