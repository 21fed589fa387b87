"""Where the published documents and what we know of the service differ: each once, with the reason.

Nothing goes in here to make a test pass. A line needs a source that says that the service is different from its
document: Twilio's documentation, an example in the same document, or the official SDK.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.contract.checker import Violation


@dataclass(frozen=True)
class Deviation:
    """Regular expressions that a violation's operation, place and problem have to contain, all three."""

    operation: str
    where: str
    problem: str
    reason: str

    def covers(self, violation: Violation) -> bool:
        return bool(
            re.search(self.operation, violation.operation)
            and re.search(self.where, violation.where)
            and re.search(self.problem, violation.problem)
        )


DEVIATIONS: tuple[Deviation, ...] = (
    Deviation(
        r"^taskrouter_v1 \w+Workspace ",
        r"event_callback_url$",
        r"is not a uri",
        "A workspace without callback has an empty text there, in all four examples of the document.",
    ),
    Deviation(
        r"^proxy_v1 \w+MessageInteraction ",
        r"\b(inbound|outbound)_resource_status$",
        r"is not (of type string|one of )",
        "Null as long as that side has no message: the document's examples of a message sent by API show it.",
    ),
    Deviation(
        r"^proxy_v1 \w+PhoneNumber ",
        r"capabilities\.\w+$",
        r"is (missing|no published field)",
        "The schema has fax, mms, sms and voice; every example has sms_outbound, voice_inbound and their like.",
    ),
    Deviation(
        r"^flex_v1 \w+ConfiguredPlugin ",
        r"plugin_version_sid$",
        r"does not fit pattern \^FV",
        "The schema says FV…, both examples say PV….",
    ),
    Deviation(
        r"^conversations_v1 FetchServiceWebhookConfiguration ",
        r"method$",
        r"is not (of type string|one of )",
        "Null where no webhook was configured, as in the example.",
    ),
    Deviation(
        r"^pricing_v1 FetchMessagingCountry ",
        r"(base|current)_price$",
        r"is not of type number",
        "The schema has numbers, the example of the document has texts, so that no digit is lost.",
    ),
    Deviation(
        r"^api_v2010 ",
        r"uris?$",
        r"is not a uri",
        "Relative to https://api.twilio.com: the field's own description says so, and every example shows it.",
    ),
    Deviation(
        r"^api_v2010 ListIncomingPhoneNumber ",
        r"(_application_sid|_url|status_callback)$",
        r"does not fit|is not a uri",
        "A number without one has an empty text there, in the document's example.",
    ),
)
