"""A contact centre with quiet channels of both stacks, looked at past the code that is tested."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import httpx

from flexsms.demo.airflow_api import Json
from flexsms.sandbox.client import SandboxControl
from flexsms.sandbox.control.bulk_load import customer_number

STACKS = {"chat": "twilio", "conversations": "conversations"}  # and what the sandbox calls their numbers
OPEN_TASK = ("pending", "reserved", "assigned", "wrapping")
OPEN_SESSION = ("open", "in-progress")
RETIRED = {"status": "INACTIVE", "long_lived": False}


class Centre:
    """Due channels of both stacks in one account, as in one that is moving from the one to the other.

    :param twilio: the control plane of an empty account
    :param settings: what the sandbox says of the account
    :param due: channels per stack
    """

    def __init__(self, twilio: SandboxControl, settings: Json, due: int) -> None:
        self._twilio = twilio
        self._settings = settings
        self.customers: dict[str, tuple[str, str]] = {}
        self.stack_of: dict[str, str] = {}
        for stack, number in STACKS.items():
            first = len(self.customers)
            for place, sid in enumerate(twilio.seed(channels=due, due=due, stack=stack)["channels"]):
                self.customers[sid] = (customer_number(first + place), settings["numbers"][number])
                self.stack_of[sid] = stack
        self.before = self.attributes()

    @property
    def due(self) -> set[str]:
        """The channels that were due at first."""
        return set(self.customers)

    def writes(self, channel_sid: str) -> None:
        """The channel's customer writes, which opens a task on it."""
        customer, number = self.customers[channel_sid]
        arrived = self._twilio.customer(customer, number, "One more question")
        assert arrived["channel_sid"] == channel_sid, f"the text arrived elsewhere: {arrived}"
        assert arrived["task_sid"]

    def retire_without_a_look(self, channel_sids: Iterable[str]) -> None:
        """Make channels short-lived whatever is going on in them, as the first half of a cleanup does."""
        for sid in channel_sids:
            mark = {"channel_sid": sid, "attributes": RETIRED}
            if self.stack_of[sid] == "chat":
                self._twilio.perform({"channel_attributes": mark})
                self._close_session(sid)
            else:
                self._twilio.perform(
                    {"conversation_attributes": mark},
                    {"conversation_state": {"channel_sid": sid, "state": "inactive"}},
                )

    def attributes(self) -> dict[str, Json]:
        """The attributes of every channel, as Twilio has them."""
        tables = self._tables()
        return {
            row["sid"]: json.loads(row["attributes"])
            for row in (*tables["channels"], *tables["conversations"])
            if row["sid"] in self.customers
        }

    def marked(self) -> set[str]:
        """The channels that bear both of our attributes."""
        return {
            sid
            for sid, found in self.attributes().items()
            if {name: found.get(name) for name in RETIRED} == RETIRED
        }

    def open(self) -> set[str]:
        """The channels that a text of their customer gets through to, whatever their attributes."""
        tables = self._tables()
        sessions = {row["name"] for row in tables["sessions"] if row["status"] in OPEN_SESSION}
        conversations = {row["sid"] for row in tables["conversations"] if row["state"] == "active"}
        return self.due & (sessions | conversations)

    def live(self) -> set[str]:
        """The channels with an open task at TaskRouter."""
        facts = [row["attributes"] for row in self._tables()["tasks"] if row["status"] in OPEN_TASK]
        return {sid for sid in self.customers if any(sid in one for one in facts)}

    def assert_live(self, channel_sids: Iterable[str]) -> None:
        """These channels have an open task and the attributes they had, and their customers' texts get through."""
        wanted, attributes = set(channel_sids), self.attributes()
        lost = {sid for sid in wanted if attributes[sid] != self.before[sid]}
        assert not lost, (
            f"{self._counted(lost)} of {self._counted(wanted)} live channels were made short-lived"
        )
        closed = wanted - self.open()
        assert not closed, f"{self._counted(closed)} live channels were closed"
        assert wanted <= self.live(), f"{self._counted(wanted - self.live())} channels lost their task"

    def assert_retired(self, channel_sids: Iterable[str]) -> None:
        """These channels are retired, none of them half."""
        wanted, attributes = set(channel_sids), self.attributes()
        half = {sid for sid in wanted if attributes[sid] != {**self.before[sid], **RETIRED}}
        assert not half, f"{self._counted(half)} channels are not short-lived"
        assert not wanted & self.open(), (
            f"{self._counted(wanted & self.open())} are short-lived and still open"
        )

    def _close_session(self, channel_sid: str) -> None:
        settings = self._settings
        service = f"proxy.twilio.com/v1/Services/{settings['session_service_sid']}"
        answer = httpx.post(
            f"{settings['base_url']}/{service}/Sessions/{self.before[channel_sid]['proxySession']}",
            data={"Status": "closed"},
            auth=(settings["account_sid"], settings["auth_token"]),
            trust_env=False,
        )
        answer.raise_for_status()

    def _counted(self, channel_sids: set[str]) -> str:
        stacks = [self.stack_of[sid] for sid in channel_sids]
        return " and ".join(f"{stacks.count(stack)} {stack}" for stack in STACKS)

    def _tables(self) -> dict[str, list[dict[str, Any]]]:
        tables: dict[str, list[dict[str, Any]]] = self._twilio.state()["tables"]
        return tables
