"""The official SDK, pointed at the sandbox of tests/conftest.py."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.http.response import Response
from twilio.rest import Client

from flexsms.sandbox.client import SandboxControl, SandboxProcess

CUSTOMER = "+14155550142"


class Rewriting(TwilioHttpClient):
    """`https://sync.twilio.com/v1/x` becomes `<base_url>/sync.twilio.com/v1/x`: the base_url convention."""

    def __init__(self, base_url: str, **more: Any) -> None:
        super().__init__(timeout=10, **more)
        self._base_url = base_url

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> Response:  # type: ignore[override]
        parts = urlsplit(url)
        rest = f"{parts.path}?{parts.query}" if parts.query else parts.path
        return super().request(method, f"{self._base_url}/{parts.netloc}{rest}", *args, **kwargs)

    def close(self) -> None:
        if self.session is not None:
            self.session.close()


@dataclass
class Account:
    """The sandbox's account as a test uses it: the SDK's resources, and the control plane."""

    client: Client
    control: SandboxControl
    settings: dict[str, Any]

    @property
    def number(self) -> str:
        return str(self.settings["numbers"]["twilio"])

    @property
    def flex(self) -> Any:
        return self.client.flex_api.v1

    @property
    def chat(self) -> Any:
        return self.client.chat.v2.services(self.settings["chat_service_sid"])

    @property
    def proxy(self) -> Any:
        return self.client.proxy.v1.services(self.settings["session_service_sid"])

    @property
    def sync(self) -> Any:
        return self.client.sync.v1.services(self.settings["sync_service_sid"])

    @property
    def workspace(self) -> Any:
        return self.client.taskrouter.v1.workspaces(self.settings["workspace_sid"])

    @property
    def events(self) -> Any:
        return self.client.events.v1

    # The other generation

    @property
    def conversations_number(self) -> str:
        return str(self.settings["numbers"]["conversations"])

    @property
    def conversations(self) -> Any:
        """By the short paths, which mean the default service."""
        return self.client.conversations.v1

    def routing(self, worker: int | None = None, **attributes: Any) -> dict[str, Any]:
        """The `Routing` of an interaction or invite, to a worker or to whoever is free."""
        properties = {name: self.settings[name] for name in ("workspace_sid", "workflow_sid", "queue_sid")}
        if worker is not None:
            properties["worker_sid"] = self.settings["worker_sids"][worker]
        return {"properties": {**properties, "attributes": attributes}}

    def open_interaction(
        self,
        customer: str = CUSTOMER,
        initiated_by: str = "api",
        worker: int | None = None,
        **attributes: Any,
    ) -> Any:
        ends = {"address": customer, "proxy_address": self.conversations_number}
        return self.flex.interaction.create(
            channel={"type": "sms", "initiated_by": initiated_by, "participants": [ends]},
            routing=self.routing(worker, **attributes),
        )

    def open_conversation(self, customer: str = CUSTOMER, **more: Any) -> Any:
        """A conversation with the customer in it, and no interaction."""
        conversation = self.conversations.conversations.create(**more)
        self.join(conversation.sid, customer)
        return conversation

    def join(self, conversation_sid: str, customer: str = CUSTOMER, number: str | None = None) -> Any:
        return self.conversations.conversations(conversation_sid).participants.create(
            messaging_binding_address=customer,
            messaging_binding_proxy_address=number or self.conversations_number,
        )

    # The older one

    def open_channel(self, customer: str = CUSTOMER, flow: str = "task", **more: Any) -> Any:
        """What the outbound recipe does first."""
        return self.flex.channel.create(
            flex_flow_sid=self.settings["flex_flow_sids"][flow],
            identity="3f1e",
            chat_user_friendly_name="Ada",
            chat_friendly_name=f"SMS{customer}",
            target=customer,
            **more,
        )

    def open_session(self, channel_sid: str, customer: str = CUSTOMER, number: str | None = None) -> Any:
        """What it does second."""
        ends = [
            {"Identifier": who, "ProxyIdentifier": number or self.number, "FriendlyName": "Ada"}
            for who in (customer, channel_sid)
        ]
        return self.proxy.sessions.create(unique_name=channel_sid, mode="message-only", participants=ends)

    def customer(self, body: str = "Hello", frm: str = CUSTOMER, number: str | None = None) -> dict[str, Any]:
        return self.control.customer(frm, number or self.number, body)


@pytest.fixture
def account(sandbox: SandboxProcess) -> Iterator[Account]:
    """Its time passes only by `control.advance`: a slow machine changes nothing."""
    sandbox.control.run_clock(False)
    settings = sandbox.settings
    http = Rewriting(sandbox.base_url)
    yield Account(
        Client(settings["account_sid"], settings["auth_token"], http_client=http), sandbox.control, settings
    )
    http.close()
    # Not only did the answers fit: nothing went wrong inside either.
    assert sandbox.control.health() == {"ok": True, "errors": []}


def refused(call: Any, *args: Any, **kwargs: Any) -> tuple[int, int | None]:
    """HTTP status and Twilio code of a call that has to fail."""
    with pytest.raises(TwilioRestException) as caught:
        call(*args, **kwargs)
    return caught.value.status, caught.value.code
