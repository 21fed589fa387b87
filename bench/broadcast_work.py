"""Sends texts as the batches of a broadcast do, in this process; as a program, in one of its own.

``python -m bench.broadcast_work`` reads a job as JSON from its standard input, and writes what came of it.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any
from urllib.parse import quote

from multidict import MultiDict

from bench.contenders import Bare, bare
from bench.memory import peak_mb
from flexsms.core.broadcast import BroadcastText
from flexsms.core.outbound_message import OutboundMessage, Route
from flexsms.core.sending_hours import SendingHours
from flexsms.core.stack_name import StackName
from flexsms.sandbox.control.bulk_load import customer_number
from flexsms.twilio.account import connect
from flexsms.twilio.broadcast.batch import BatchSender
from flexsms.twilio.broadcast.outcomes import BatchOutcomes
from flexsms.twilio.broadcast.pace import SteadyClock
from flexsms.twilio.broadcast.rules import BroadcastRules
from flexsms.twilio.client.settings import TwilioSettings

ZONES = ("UTC",)
BATCH = 1000
RULES = BroadcastRules(hours=SendingHours.parse("00:00-24:00"))
BODY = "Your appointment is tomorrow at nine."


@dataclass(frozen=True, slots=True)
class Job:
    """What one worker sends.

    :param extra: of the Airflow connection
    :param first: number of the first customer
    """

    login: str
    password: str
    extra: Mapping[str, Any]
    from_number: str
    first: int
    count: int
    batch: int = BATCH

    @property
    def settings(self) -> TwilioSettings:
        """The connection."""
        return TwilioSettings.from_connection(self.login, self.password, self.extra)


async def broadcast(job: Job) -> int:
    """Batch after batch, each with connections of its own, as one worker does it; returns how many were sent."""
    sent = 0

    def tell(result: object) -> None:
        nonlocal sent
        if getattr(result, "outcome", None) != "sent":
            raise RuntimeError(f"a text was not sent: {result}")
        sent += 1

    for start in range(job.first, job.first + job.count, job.batch):
        async with connect(job.settings) as account:
            campaign = await account.campaign("bench")
            now = SteadyClock(lambda: account.transport.twilio_now)
            sender = BatchSender(
                account.client,
                account.settings,
                account.sender(),
                account.stack,
                campaign,
                RULES,
                BatchOutcomes(campaign, run="bench/run", now=now.moment, tell=tell),
                zones=ZONES,
                run="bench/run",
                owner=f"bench/run/send/{start}",
                was_tried=False,
                clock=now,
            )
            await sender.send(_texts(job, start, min(start + job.batch, job.first + job.count)))
    return sent


async def _texts(job: Job, first: int, end: int) -> AsyncIterator[BroadcastText]:
    for row in range(first, end):
        yield BroadcastText(row, job.from_number, customer_number(row), BODY, zones=ZONES)


async def floor(job: Job) -> int:
    """The same calls for each text, as soon as a connection is free: no limit, no ledger that is read, no check."""
    settings = job.settings
    send = {StackName.CHAT: _chat, StackName.CONVERSATIONS: _conversation}[settings.stack]
    async with bare(settings) as client:
        flow = (
            await _flow(client, job.from_number)
            if settings.stack is StackName.CHAT
            else settings.studio_flow_sid
        )
        for name in "0123456789abcdef":
            await client.call("POST", f"{client.sync}/Maps", {"UniqueName": f"floor.{name}"})
        numbers = iter(range(job.first, job.first + job.count))

        async def worker() -> None:
            for number in numbers:
                await send(client, job.from_number, customer_number(number), flow)

        await asyncio.gather(*(worker() for _ in range(settings.max_in_flight)))
    return job.count


async def _chat(client: Bare, from_number: str, to_number: str, flow_sid: str) -> None:
    key, item = await _claim(client, to_number)
    form = {
        "FlexFlowSid": flow_sid,
        "Identity": key,
        "ChatUserFriendlyName": "…",
        "ChatFriendlyName": f"SMS{to_number}",
        "Target": to_number,
    }
    channel = await client.call("POST", "https://flex-api.twilio.com/v1/Channels", form)
    sid = channel["sid"]
    await client.call("GET", f"{client.proxy}/Sessions/{sid}", expected=404)
    sides = [json.dumps({"Identifier": one, "ProxyIdentifier": from_number}) for one in (to_number, sid)]
    session = MultiDict({"UniqueName": sid, "Ttl": "0", "Mode": "message-only"})
    session.extend(("Participants", side) for side in sides)
    await client.call("POST", f"{client.proxy}/Sessions", session)
    document = f"flexsms.{sid}"
    await client.call("GET", f"{client.sync}/Documents/{document}", expected=404)
    await client.call("POST", f"{client.sync}/Documents", {"UniqueName": document, "Data": "{}"})
    await client.call("POST", item, {"Data": "{}"})
    await client.call("POST", f"{client.chat}/Channels/{sid}/Messages", {"Body": BODY})
    await client.call("POST", item, {"Data": "{}"})


async def _conversation(client: Bare, from_number: str, to_number: str, flow_sid: str) -> None:
    key, item = await _claim(client, to_number)
    base = "https://conversations.twilio.com/v1"
    await client.call("GET", f"{base}/ParticipantConversations?Address={quote(to_number)}&PageSize=50")
    conversation = await client.call("POST", f"{base}/Conversations", {"UniqueName": key})
    own = f"{base}/Conversations/{conversation['sid']}"
    await client.call("POST", f"{own}/Webhooks", {"Target": "studio", "Configuration.FlowSid": flow_sid})
    member = {"MessagingBinding.Address": to_number, "MessagingBinding.ProxyAddress": from_number}
    await client.call("POST", f"{own}/Participants", member)
    await client.call("POST", item, {"Data": "{}"})
    await client.call("POST", f"{own}/Messages", {"Body": BODY})
    await client.call("POST", item, {"Data": "{}"})


async def _claim(client: Bare, to_number: str) -> tuple[str, str]:
    """A claim, and a look at the opt-outs."""
    key = f"floor{to_number[1:]}"
    items = f"{client.sync}/Maps/floor.{to_number[-1]}/Items"
    await client.call("POST", items, {"Key": key, "Data": "{}"})
    await client.call("GET", f"{items}/none", expected=404)
    return key, f"{items}/{key}"


async def _flow(client: Bare, number: str) -> str:
    flows = await client.call("GET", "https://flex-api.twilio.com/v1/FlexFlows?PageSize=1000")
    found = [
        flow["sid"]
        for flow in flows["flex_flows"]
        if flow["contact_identity"] == number and flow["integration_type"] == "studio"
    ]
    return str(found[0])


async def one_by_one(job: Job) -> int:
    """A text per process, as a run per text has one; returns how many were sent."""
    for number in range(job.first, job.first + job.count):
        alone = Job(**{**asdict(job), "first": number, "count": 1})
        await asyncio.to_thread(_in_process, alone, "text")
    return job.count


async def text(job: Job) -> int:
    """One text as `flexsms_send` sends it."""
    async with connect(job.settings) as account:
        message = OutboundMessage.parse(
            from_number=job.from_number, to_number=customer_number(job.first), body=BODY, route=Route.STUDIO
        )
        await account.sender().send(message, key=f"bench {job.first}", owner="bench")
    return 1


def in_processes(jobs: Sequence[Job]) -> list[dict[str, Any]]:
    """Broadcasts at the same time, each in a process of its own; returns what each says of itself."""

    async def all_of_them() -> list[dict[str, Any]]:
        return await asyncio.gather(*(asyncio.to_thread(_in_process, job, "broadcast") for job in jobs))

    return asyncio.run(all_of_them())


def _in_process(job: Job, work: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "bench.broadcast_work", work],
        input=json.dumps(asdict(job)),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> None:
    """Do a job."""
    works: dict[str, Callable[[Job], Coroutine[Any, Any, int]]] = {"broadcast": broadcast, "text": text}
    if sys.argv[1] == "text":
        import flexsms.operators.send  # noqa: F401  # what a task of Airflow's loads first
    job = Job(**json.load(sys.stdin))
    sent = asyncio.run(partial(works[sys.argv[1]], job)())
    json.dump({"sent": sent, "peak_mb": peak_mb()}, sys.stdout)


if __name__ == "__main__":
    main()
