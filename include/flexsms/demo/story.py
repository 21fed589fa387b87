"""The story: texts are sent, an agent works, quiet channels are cleaned up, all through Airflow's REST API."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flexsms.demo import broadcast
from flexsms.demo.airflow_api import AirflowApi, Json
from flexsms.demo.console import View
from flexsms.demo.dag_runs import ASK_EVERY_S, finish
from flexsms.demo.event_latency import Followed, Stream
from flexsms.demo.expectations import Cleaned, problems_of_delivery, problems_of_sending
from flexsms.demo.local_airflow import DemoFailed
from flexsms.demo.report import Role, Told, problems_of_roles
from flexsms.demo.sandbox_state import channels
from flexsms.sandbox.client import SandboxControl

SEND, SETUP, TRACK, CLEANUP = "flexsms_send", "flexsms_setup", "flexsms_track", "flexsms_cleanup"
BROADCAST = "flexsms_broadcast"
DAGS = frozenset({SEND, SETUP, TRACK, CLEANUP, BROADCAST})
RETENTION_DAYS = 2
MOVE_TIMEOUT_S = 10.0  # a text takes two seconds from queued to delivered
# Flex takes a moment to set up an interaction; here one that is long enough for Airflow's triggerer to wait for it.
SETUP_S = 3.0


@dataclass(frozen=True, slots=True)
class Text:
    """A text that the story sends.

    :param more: further params of flexsms_send
    """

    name: str
    number: str
    body: str
    route: str = "agent"
    more: Mapping[str, Any] = field(default_factory=dict)

    def conf(self, from_number: str) -> Json:
        """The params of the run."""
        return {
            "from_number": from_number,
            "to_number": self.number,
            # A first name alone is too short for Airflow to mask it (5 characters).
            "to_name": f"{self.name} Example",
            "body": self.body,
            "route": self.route,
            "idempotency_key": f"demo-{self.name.lower()}",
            **self.more,
        }


class Story:
    """Plays the story.

    :param api: of an Airflow that is ready
    :param sandbox: control of the local Twilio, seeded with ``story``
    :param folder: for the list of the broadcast
    """

    def __init__(self, api: AirflowApi, sandbox: SandboxControl, view: View, folder: Path) -> None:
        self._folder = folder
        self._api = api
        self._sandbox = sandbox
        self._view = view
        self._settings = sandbox.settings(interaction_setup_s=SETUP_S)
        self._people: Json = sandbox.story()
        # All of them write to one number, which is of one stack.
        self._number: str = self._people["ada"]["twilio_number"]

    def play(self) -> Told:
        """From the first text to the replies to a broadcast.

        :raises DemoFailed: when a run fails or takes too long, with the end of its log
        """
        known = {sms["sid"] for sms in self._sandbox.outbox()}
        texts = self._texts()
        sent = self._send(texts)
        # Only now: what has happened so far is not in the stream, and the first run that the stream starts has to
        # find it all the same.
        self._set_up()
        followed = self._an_agent_clicks(sent)
        first = self._clean_up("Clean up")
        second = self._clean_up("Clean up again")
        again = self._ada_writes_again()
        left = [sms for sms in self._delivered() if sms["sid"] not in known]
        roles = self._roles(texts, sent)
        crowd = broadcast.people()
        broadcasted = self._broadcast(crowd, known | {sms["sid"] for sms in left})
        problems = [
            *problems_of_sending([(text.number, text.body) for text in texts], left),
            *problems_of_delivery([found["delivery"] for found in sent.values()], left),
            *followed.problems(),
            *first.problems(RETENTION_DAYS),
            *second.problems_of_repetition(),
            *problems_of_roles(roles, first),
            *again,
            *broadcasted.problems(crowd),
        ]
        return Told(self._number, roles, followed, first, second, left, problems)

    def _texts(self) -> list[Text]:
        cleo = self._people["cleo"]
        return [
            Text("Cleo", cleo["customer_number"], "Hello Cleo, your prescription is ready."),
            Text(
                "Dora",
                "+14155550164",
                "Hello Dora, your lenses have arrived.",
                more={
                    "target_worker_sid": self._settings["worker_sids"][0],
                    "task_attributes": {"reason": "lenses"},
                },
            ),
            Text("Emil", "+14155550165", "Hello Emil, we are closed on Friday.", route="studio"),
        ]

    def _send(self, texts: Sequence[Text]) -> dict[str, Json]:
        """All texts, then one of them again under the same key. Returns what each run says of its text, by name."""
        with self._view.step("Send") as step:
            runs = finish(self._api, SEND, [text.conf(self._number) for text in texts], step.tell)
            sent = {text.name: self._sent(run) for text, run in zip(texts, runs, strict=True)}
            [repeated] = finish(self._api, SEND, [texts[1].conf(self._number)], step.tell)
            duplicate = self._api.returned(SEND, repeated, "send")["duplicate"]
            step.result = (
                f"{', '.join(f'{name} ({_kind(found)})' for name, found in sent.items())}; "
                f"{texts[1].name}'s once more under the same key: "
                f"{'not sent again' if duplicate else 'SENT AGAIN'}"
            )
        return sent

    def _sent(self, run: str) -> Json:
        """What its run says of a text, and of its delivery."""
        found: Json = self._api.returned(SEND, run, "send")
        return {**found, "delivery": self._api.returned(SEND, run, "delivery")}

    def _set_up(self) -> None:
        with self._view.step("Set up") as step:
            # The account has its Sync service and the number its flows; Event Streams knows nothing of Airflow yet.
            [run] = finish(self._api, SETUP, [{"dry_run": False, "number": self._number}], step.tell)
            rows = self._api.returned(SETUP, run, "setup")["rows"]
            step.result = ", ".join(f"{row['what']} {row['state']}" for row in rows)

    def _an_agent_clicks(self, sent: Mapping[str, Json]) -> Followed:
        with self._view.step("An agent completes Dora's task") as step:
            stream = Stream(self._api, self._sandbox, TRACK, step.tell)
            found = stream.complete(sent["Dora"]["channel_sid"])
            step.result = (
                f"state in Sync after {found.stored_s:.0f} s: the inbox started {TRACK} "
                f"({found.report['events']} task events read)"
            )
        return found

    def _clean_up(self, title: str) -> Cleaned:
        with self._view.step(title) as step:
            before, started = channels(self._sandbox.state()), self._sandbox.clock()["now_s"]
            last = max((call["n"] for call in self._sandbox.journal()), default=0)
            [run] = finish(self._api, CLEANUP, [{"retention_days": RETENTION_DAYS}], step.tell)
            summary = self._api.asset_extra(CLEANUP, run)
            if summary is None:
                raise DemoFailed(f"{CLEANUP} ended without an asset event.")
            done = Cleaned(
                started=started,
                ended=self._sandbox.clock()["now_s"],
                before=before,
                after=channels(self._sandbox.state()),
                summary=summary,
                calls=tuple(self._sandbox.journal(after=last)),
            )
            step.result = (
                f"{summary['scanned']} scanned, {summary['due']} due, {summary['deactivated']} deactivated, "
                f"{summary['failed']} failed; {len(done.calls)} calls, {len(done.writes)} of them writes"
            )
        return done

    def _ada_writes_again(self) -> list[str]:
        """The point of it all: the next contact of a retired channel starts a fresh one."""
        ada = self._people["ada"]
        with self._view.step("Ada writes again") as step:
            text = "Hello, do you repair frames, too?"
            found = self._sandbox.customer(ada["customer_number"], ada["twilio_number"], text)
            fresh = found["channel_sid"] not in (None, ada["channel_sid"]) and self._has_task(found)
            step.result = (
                f"a fresh channel and a new task ({found['outcome']})" if fresh else found["outcome"]
            )
        return [] if fresh else [f"Ada's next text did not start a fresh channel: {found}."]

    def _broadcast(self, people: Sequence[broadcast.Person], known: Set[str]) -> broadcast.Broadcasted:
        """A list of people gets a text each, and some of them answer."""
        with self._view.step(f"Text {len(people)} people") as step:
            path = self._folder / broadcast.LIST
            broadcast.write_list(path, people)
            [run] = finish(self._api, BROADCAST, [broadcast.conf(self._number, path)], step.tell)
            summary: Json = self._api.returned(BROADCAST, run, "report")
            step.result = f"{summary['texted']} texted, {summary['delivered']} delivered"
        with self._view.step("Some of them reply") as step:
            found = {
                one.number: self._sandbox.customer(one.number, self._number, broadcast.REPLY)
                for one in people[: broadcast.REPLIES]
            }
            reached = sum(self._has_task(one) for one in found.values())
            step.result = f"{reached} of {len(found)} have reached an agent, in the conversation of the text"
        left = [sms for sms in self._sandbox.outbox() if sms["sid"] not in known]
        return broadcast.Broadcasted(summary, left, found, channels(self._sandbox.state()))

    def _has_task(self, found: Json) -> bool:
        """Whether a customer's text led to a task, which Flex may need a moment to open."""
        deadline = time.monotonic() + MOVE_TIMEOUT_S
        while not channels(self._sandbox.state())[found["channel_sid"]].open_tasks:
            if time.monotonic() > deadline:
                return False
            time.sleep(ASK_EVERY_S)
        return True

    def _roles(self, texts: Sequence[Text], sent: Mapping[str, Json]) -> list[Role]:
        why = {
            "ada": (True, "done 3 days ago"),
            "ben": (False, "wrote an hour ago"),
            "cleo": (False, "texted 8 hours ago"),
        }
        told = [
            Role(who["name"], who["customer_number"], who["channel_sid"], *why[name])
            for name, who in self._people.items()
        ]
        newcomers = [text for text in texts if text.name.lower() not in self._people]
        return told + [
            Role(
                text.name,
                text.number,
                sent[text.name]["channel_sid"],
                False,
                "texted just now" if text.route == "studio" else "texted and done just now",
            )
            for text in newcomers
        ]

    def _delivered(self) -> list[Json]:
        """The outbox, once nothing in it is on its way any more."""
        deadline = time.monotonic() + MOVE_TIMEOUT_S
        while True:
            outbox = self._sandbox.outbox()
            if all(sms["status"] not in ("queued", "sent") for sms in outbox) or time.monotonic() > deadline:
                return outbox
            time.sleep(ASK_EVERY_S)


def _kind(sent: Json) -> str:
    kind = "goes on" if sent["reused_channel"] else "new"
    return f"{kind}, {sent['delivery']['status']}"
