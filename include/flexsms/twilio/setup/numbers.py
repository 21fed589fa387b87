"""Sets up a number: where a customer's text leads, and what a text to a customer is sent through.

On ``chat`` a number has two Flex Flows, one that runs Studio for what comes in and one that opens tasks for what goes
out (the latter is not enabled: it is used by its SID only). On ``conversations`` it has an address configuration.
Sources: https://www.twilio.com/docs/flex/developer/messaging/api/flow,
https://www.twilio.com/docs/conversations/api/address-configuration-resource
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from flexsms.core.redaction import mask_number
from flexsms.core.setup_report import RowState
from flexsms.twilio.client.settings import TwilioSettings
from flexsms.twilio.setup.provisioner import Provisioner
from flexsms.twilio.stacks.own_numbers import STUDIO, TASK, flow_of, sms_addresses, sms_flows

if TYPE_CHECKING:
    from twilio.rest import Client

# How often Twilio asks Studio again when it does not answer; the most it takes.
RETRIES = 3
TASK_CHANNEL = "sms"


@dataclass(frozen=True, slots=True)
class NumberWishes:
    """What a number should have.

    :param number: E.164
    :param long_lived: ``chat``: channels outlive their task
    :param janitor: ``chat``: Flex ends the Proxy session of a task that was deleted elsewhere
    :param overwrite: also change what leads elsewhere than the connection says
    """

    number: str
    long_lived: bool = True
    janitor: bool = True
    overwrite: bool = False


class NumberSetup:
    """Brings one number to where it should be.

    What is there and leads to another Studio flow or workflow than the connection names, or to a webhook, may be
    somebody's on purpose: it is named and left, unless the wishes say otherwise.
    """

    def __init__(
        self, client: Client, provisioner: Provisioner, *, settings: TwilioSettings, wishes: NumberWishes
    ) -> None:
        self._client = client
        self._provisioner = provisioner
        self._settings = settings
        self._wishes = wishes
        self._ending = mask_number(wishes.number)

    # chat

    async def flex_flows(self) -> None:
        """Both Flex Flows of the number."""
        await self._flow(STUDIO)
        await self._flow(TASK)

    async def _flow(self, kind: str) -> None:
        flows, wishes = self._client.flex_api.v1.flex_flow, self._wishes
        lives = {"long_lived": wishes.long_lived, "janitor_enabled": wishes.janitor}

        async def find() -> Any:
            return flow_of(await sms_flows(self._client), wishes.number, kind)

        def fields() -> dict[str, Any]:
            return {
                "friendly_name": f"flexsms {kind} {self._ending}",
                "chat_service_sid": self._settings.need("chat_service_sid"),
                "channel_type": "sms",
                "contact_identity": wishes.number,
                "enabled": kind == STUDIO,
                "integration_type": kind,
                "integration_retry_count": RETRIES,
                **self._integration(kind, self._settings.need),
                **lives,
            }

        what = f"Flex Flow, {kind}"
        flow, is_new = await self._provisioner.ensure(what, find, flows.create_async, fields, self._ending)
        if flow is None or is_new:
            return
        elsewhere = _differences(
            self._integration(kind, lambda name: getattr(self._settings, name)),
            {f"integration_{name}": value for name, value in (flow.integration or {}).items()},
        )
        if kind == STUDIO and not flow.enabled:
            elsewhere["enabled"] = True
        changes = _differences(lives, vars(flow))
        await self._apply_changes(what, str(flow.sid), changes, elsewhere, flows(flow.sid).update_async)

    def _integration(self, kind: str, setting: Callable[[str], str]) -> dict[str, str]:
        """Where a flow leads.

        :param setting: how to get a setting
        """
        if kind == STUDIO:
            return {"integration_flow_sid": setting("studio_flow_sid")}
        return {
            "integration_workspace_sid": setting("workspace_sid"),
            "integration_workflow_sid": setting("workflow_sid"),
            "integration_channel": TASK_CHANNEL,
        }

    # conversations

    async def address_configuration(self) -> None:
        """The number's address configuration: a text that finds no conversation makes one, and runs Studio."""
        addresses, number = self._client.conversations.v1.address_configurations, self._wishes.number

        async def find() -> Any:
            found = await sms_addresses(self._client)
            return next((one for one in found if one.address == number), None)

        def fields() -> dict[str, Any]:
            service_sid = self._settings.chat_service_sid
            return {
                "type": "sms",
                "address": number,
                "friendly_name": f"flexsms {self._ending}",
                "auto_creation_enabled": True,
                "auto_creation_type": STUDIO,
                "auto_creation_studio_flow_sid": self._settings.need("studio_flow_sid"),
                "auto_creation_studio_retry_count": RETRIES,
                # Without one, Twilio takes the account's default service, which Flex asks to be its own.
                **({"auto_creation_conversation_service_sid": service_sid} if service_sid else {}),
            }

        what = "Address configuration"
        found, is_new = await self._provisioner.ensure(
            what, find, addresses.create_async, fields, self._ending
        )
        if found is None or is_new:
            return
        auto = found.auto_creation or {}
        # The flow that is there is as good as any, unless the connection names one.
        flow_sid = self._settings.studio_flow_sid or auto.get("studio_flow_sid")
        goal = {
            "auto_creation_enabled": True,
            "auto_creation_type": STUDIO,
            "auto_creation_studio_flow_sid": flow_sid or self._settings.need("studio_flow_sid"),
        }
        wrong = _differences(goal, {f"auto_creation_{name}": value for name, value in auto.items()})
        # What is switched off leads nowhere, and is nobody's any more.
        changes, elsewhere = ({}, wrong) if auto.get("enabled") else (wrong, {})
        if changes:
            changes = goal
        await self._apply_changes(what, str(found.sid), changes, elsewhere, addresses(found.sid).update_async)

    # both

    async def _apply_changes(
        self,
        what: str,
        sid: str,
        changes: Mapping[str, Any],
        elsewhere: Mapping[str, Any],
        update: Callable[..., Awaitable[Any]],
    ) -> None:
        """Change what differs, as far as that is wished, and write it down."""
        if self._wishes.overwrite:
            changes, elsewhere = {**changes, **elsewhere}, {}
        if changes:
            named = ", ".join(f"{name}={_text(value)}" for name, value in changes.items())
            await self._provisioner.change(what, sid, f"{self._ending}: {named}", partial(update, **changes))
        elif not elsewhere:
            self._provisioner.note(what, RowState.EXISTS, sid, self._ending)
        if elsewhere:
            named = ", ".join(f"{name} is not {_text(value)}" for name, value in elsewhere.items())
            self._provisioner.note(
                what, RowState.LEFT, sid, f"{self._ending}: {named}; run again with overwrite to change it"
            )


def _differences(goal: Mapping[str, Any], there: Mapping[str, Any]) -> dict[str, Any]:
    """The requested values that differ from the present ones."""
    return {
        name: value
        for name, value in goal.items()
        if value not in ("", None) and name != "integration_channel" and there.get(name) != value
    }


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
