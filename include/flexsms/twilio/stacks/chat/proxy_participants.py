"""The two sides of a Proxy session, and what Proxy says of their numbers."""

from __future__ import annotations

from flexsms.core.exceptions import FlexSmsError, InvalidInput, TwilioRefused
from flexsms.core.outbound_message import OutboundMessage

ADD_IT = "add the number to the Proxy service {} (session_service_sid), or choose another one of it"
# https://www.twilio.com/docs/api/errors/80402, /80404, /80606
WRONG_NUMBERS = {
    80402: ("from_number", "is not taken by Proxy for texts with this to_number", ADD_IT),
    80404: ("to_number", "is taken by Proxy for no phone number", "check the number"),
    80606: ("from_number", "is no number of this Twilio account", ADD_IT),
}


def both_sides(channel_sid: str, message: OutboundMessage) -> list[dict[str, str]]:
    """Both sides of a channel's session, as Proxy takes them."""
    number = message.from_number
    return [
        {"Identifier": message.to_number, "ProxyIdentifier": number, "FriendlyName": message.name},
        {"Identifier": channel_sid, "ProxyIdentifier": number, "FriendlyName": "Flex"},
    ]


def number_problem(error: TwilioRefused, service_sid: str) -> FlexSmsError:
    """What a refusal says of the numbers, else the refusal.

    :param service_sid: the Proxy service that refused
    """
    if error.code not in WRONG_NUMBERS:
        return error
    field, problem, remedy = WRONG_NUMBERS[error.code]
    return InvalidInput(field, f"{problem} ({error.code})", remedy.format(service_sid))
