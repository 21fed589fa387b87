"""What ties the account's numbers to Flex: Flex Flows on ``chat``, address configurations on ``conversations``.

Accounts collect flows: copies that are switched off, and flows of custom channels whose identity is the phone number,
too. Sending, set-up and the doctor all go by :func:`flow_of`. Sources:
https://www.twilio.com/docs/flex/developer/messaging/api/flow,
https://www.twilio.com/docs/conversations/api/address-configuration-resource
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from twilio.rest import Client

STUDIO, TASK = "studio", "task"
FLOWS_PER_PAGE = 1000
ADDRESSES_PER_PAGE = 50


async def sms_flows(client: Client) -> list[Any]:
    """The Flex Flows of all SMS numbers; one call per 1000 flows."""
    flows = await client.flex_api.v1.flex_flow.list_async(page_size=FLOWS_PER_PAGE)
    return [flow for flow in flows if str(flow.channel_type) == "sms"]


def flow_of(flows: Iterable[Any], number: str, kind: str) -> Any:
    """The flow of a number that counts, None when it has none: one that is enabled goes before one that is not.

    One that is not enabled is no mistake in itself: a task flow is used by its SID only, for what goes out.

    :param flows: of SMS numbers
    :param number: E.164
    :param kind: the integration type, :data:`STUDIO` or :data:`TASK`
    """
    fitting = [
        flow for flow in flows if flow.contact_identity == number and str(flow.integration_type) == kind
    ]
    return min(fitting, key=lambda flow: (not flow.enabled, str(flow.sid)), default=None)


async def sms_addresses(client: Client) -> list[Any]:
    """The address configurations of all SMS numbers. None is fetched by a URL with its number in it."""
    return list(
        await client.conversations.v1.address_configurations.list_async(
            type="sms", page_size=ADDRESSES_PER_PAGE
        )
    )
