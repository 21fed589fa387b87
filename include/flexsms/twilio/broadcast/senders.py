"""Whether the numbers that a broadcast is sent from can send it, before anybody is texted."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from flexsms.core.exceptions import InvalidInput, NotAuthorized
from flexsms.core.outbound_message import OutboundMessage, Route
from flexsms.core.redaction import mask_number

if TYPE_CHECKING:
    from twilio.rest import Client

    from flexsms.twilio.stacks.protocol import Opening

logger = logging.getLogger(__name__)

NUMBERS_PER_PAGE = 1000


async def check_senders(
    client: Client, account_sid: str, opening: Opening, senders: Iterable[str], route: Route
) -> None:
    """Make sure that each number is the account's, can send SMS, and has what the route takes on its stack.

    One call per 1000 numbers of the account, and what the stack looks at. Where the login may not list numbers, Twilio
    says at the first text which number is not the account's. Source:
    https://www.twilio.com/docs/phone-numbers/api/incomingphonenumber-resource

    :param opening: of the stack
    :param senders: E.164
    :raises InvalidInput: naming the number by its last digits
    :raises MissingSetting: when the connection lacks what the route takes
    """
    can_text = await _numbers(client, account_sid)
    for sender in senders:
        if can_text is not None and sender not in can_text:
            problem = f"{mask_number(sender)} is no number of this account"
            raise InvalidInput("from_number", problem, "give one that is")
        if can_text is not None and not can_text[sender]:
            problem = f"{mask_number(sender)} cannot send SMS"
            raise InvalidInput("from_number", problem, "give a number of this account that can")
        await opening.check(OutboundMessage(route, sender, "", ""))


async def _numbers(client: Client, account_sid: str) -> dict[str, bool] | None:
    """The account's numbers, and whether each can send SMS; None where the login may not list them."""
    numbers = client.api.v2010.accounts(account_sid).incoming_phone_numbers
    try:
        found: list[Any] = await numbers.list_async(page_size=NUMBERS_PER_PAGE)
    except NotAuthorized as error:
        logger.warning("Whether from_number is a number of this account is not known: %s", error)
        return None
    return {str(one.phone_number): bool((one.capabilities or {}).get("sms")) for one in found}
