"""Texts to a customer on either stack, through the SDK alone: what the tests of delivery start from."""

from __future__ import annotations

from typing import Any, Self

from twilio.rest import Client

from flexsms.sandbox.client import SandboxProcess
from tests.sandbox.conftest import Account, Rewriting

CUSTOMER = "+14155550142"
STACKS = ("chat", "conversations")
# Where each stack shows what became of a text.
LOOKS = {
    "chat": {"method": "GET", "host": "proxy.twilio.com", "path": "/Interactions$"},
    "conversations": {"method": "GET", "host": "conversations.twilio.com", "path": "/Receipts$"},
}


class Texts:
    """Writes to the customer on one stack."""

    def __init__(self, sandbox: SandboxProcess, stack: str) -> None:
        self.stack = stack
        self.control = sandbox.control
        self.look = LOOKS[stack]
        settings = sandbox.settings
        self._http = Rewriting(sandbox.base_url)
        client = Client(settings["account_sid"], settings["auth_token"], http_client=self._http)
        self.account = Account(client, sandbox.control, settings)
        self._sent: dict[str, Any] | None = None

    def write(self, body: str = "Hello") -> dict[str, Any]:
        """A text, into the same conversation as the one before; returns what `flexsms_send` leaves in XCom."""
        sent = self._sent or {
            "channel_sid": "",
            "task_sid": None,
            "session_sid": None,
            "interaction_sid": None,
            "message_sid": None,
            "reused_channel": False,
            "duplicate": False,
        }
        message = self._chat(sent, body) if self.stack == "chat" else self._conversation(sent, body)
        self._sent = {**sent, "message_sid": message.sid}
        return self._sent

    def becomes(self, status: str, error_code: int | None = None, step_s: float = 0) -> None:
        """What becomes of the customer's texts, and how many virtual seconds each of the two steps takes."""
        self.control.settings(sms_outcomes={CUSTOMER: {"status": status, "error_code": error_code}})
        self.control.settings(sms_step_s=step_s)

    def stop(self) -> None:
        """The customer opts out."""
        number = self.account.number if self.stack == "chat" else self.account.conversations_number
        self.control.customer(CUSTOMER, number, "STOP")

    def disconnect(self) -> None:
        """The way to the handset is cut, as by a cleanup at the same moment: nothing that is written now leaves."""
        if self.stack == "chat":
            self.account.proxy.sessions(self._sent["session_sid"]).update(status="closed")
            return
        conversation = self.account.conversations.conversations(self._sent["channel_sid"])
        for member in conversation.participants.list():
            conversation.participants(member.sid).delete()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def _chat(self, sent: dict[str, Any], body: str) -> Any:
        if not sent["channel_sid"]:
            sent["channel_sid"] = self.account.open_channel().sid
            sent["session_sid"] = self.account.open_session(sent["channel_sid"]).sid
        return self.account.chat.channels(sent["channel_sid"]).messages.create(body=body)

    def _conversation(self, sent: dict[str, Any], body: str) -> Any:
        if not sent["channel_sid"]:
            sent["channel_sid"] = self.account.open_conversation().sid
        return self.account.conversations.conversations(sent["channel_sid"]).messages.create(body=body)
