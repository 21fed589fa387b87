"""What is assumed of Programmable Chat and Proxy."""

from __future__ import annotations

from collections.abc import Sequence

from flexsms.core.exceptions import MIGRATE
from flexsms.core.verify import ERRORS, NOBODY, NOTHING, Assumption

CHAT = "Chat"
PROXY = "Proxy"

ASSUMPTIONS: Sequence[Assumption] = (
    Assumption(
        "chat-served",
        CHAT,
        "whether Twilio still serves Programmable Chat and Proxy to the account",
        "yes",
        "https://www.twilio.com/docs/flex/developer/messaging/chat-channel",
        rest=MIGRATE,
    ),
    Assumption(
        "channel-matching",
        CHAT,
        "what Flex finds the active channel of a customer by",
        "the numbers",
        NOBODY,
    ),
    Assumption(
        "channel-reuse-task",
        CHAT,
        "what Flex opens on a long-lived channel whose task has ended",
        "a new task",
        NOBODY,
        {"no new task": "nothing to do, the text is sent, and the customer's answer opens the task"},
    ),
    Assumption(
        "inactive-header",
        CHAT,
        "whether Flex notices an inactive channel only with the webhook header",
        "not needed",
        NOBODY,
        {"needed": "nothing to do, flexsms sends it"},
    ),
    Assumption(
        "session-by-name",
        PROXY,
        "whether a session can be fetched by its unique name",
        "yes",
        ERRORS + "80308",
        {"no": "nothing to do as long as session-stamped is so, flexsms reads it there in two calls more"},
    ),
    Assumption(
        "session-stamped",
        PROXY,
        "whether the channel's attributes name the session",
        "yes",
        ERRORS + "80619",
        {"no": "nothing to do, flexsms asks by its name, a call more per retired channel"},
    ),
    Assumption(
        "pair-taken",
        PROXY,
        "refusal of a pair of numbers that is in another session",
        "80604, names none",
        ERRORS + "80604",
        {
            "80103, names the session": NOTHING,
            "80604, names the session": NOTHING,
            "80103, names none": NOTHING,
        },
    ),
    Assumption(
        "reopen-taken",
        PROXY,
        "refusal to open a session again whose pair is in another one",
        "80801, names none",
        ERRORS + "80801",
        {
            "80604, names none": NOTHING,
            "80801, names the session": NOTHING,
            "80604, names the session": NOTHING,
        },
    ),
    Assumption(
        "relay-named",
        PROXY,
        "whether an interaction names the chat message that it relays",
        "yes",
        "https://www.twilio.com/docs/proxy/api/interaction",
        {"no": "leave wait_for_delivery of flexsms_send off, it would end in 'no SMS left'"},
    ),
    Assumption(
        "inactive-captures",
        PROXY,
        "whether an inactive channel with an open session keeps the customer's texts",
        "yes",
        NOBODY,
        {"no, it starts another channel": NOTHING},
    ),
)
