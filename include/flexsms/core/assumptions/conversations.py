"""What is assumed of Flex Conversations: Conversations and Interactions."""

from __future__ import annotations

from collections.abc import Sequence

from flexsms.core.verify import ERRORS, NOBODY, NOTHING, Assumption

CONVERSATIONS = "Conversations"
INTERACTIONS = "Interactions"

ASSUMPTIONS: Sequence[Assumption] = (
    Assumption(
        "pair-refusal",
        CONVERSATIONS,
        "refusal of a pair of numbers that is in another conversation",
        "50416, names the conversation",
        ERRORS + "50416",
        {
            "50416, names none": "nothing to do, flexsms looks for it, in 1 call per 50 conversations of the customer"
        },
    ),
    Assumption(
        "inactive-holds-pair",
        CONVERSATIONS,
        "whether an inactive conversation holds its pair of numbers",
        "yes",
        "https://www.twilio.com/docs/flex/developer/conversations/best-practices",
        {"no": NOTHING},
    ),
    Assumption(
        "message-reactivates",
        CONVERSATIONS,
        "whether a message makes an inactive conversation active",
        "yes",
        "https://www.twilio.com/docs/conversations-classic/states-timers",
        {"no": NOTHING},
    ),
    Assumption(
        "message-list-attributes",
        CONVERSATIONS,
        "whether a list of messages shows their attributes",
        "yes",
        NOBODY,
        {"no": "nothing to do, flexsms fetches each message where it looks for one"},
    ),
    Assumption(
        "message-date",
        CONVERSATIONS,
        "whether a message moves the date_updated of its conversation",
        "yes",
        NOBODY,
        {
            "no": "nothing to do, cleanup looks at the newest message of every due channel, for a call more each"
        },
    ),
    Assumption(
        "closed-name",
        CONVERSATIONS,
        "whether a closed conversation keeps its unique name",
        "yes, refused with 50353",
        NOBODY,
        {"no": NOTHING},
    ),
    Assumption(
        "longest-timer",
        CONVERSATIONS,
        "longest time after which Twilio closes a conversation by itself",
        "3650 days",
        "https://www.twilio.com/docs/conversations-classic/states-timers",
        {f"{days} days": f"keep close_after_days at {days} or below" for days in (365, 90, 30)},
    ),
    Assumption(
        "second-interaction",
        INTERACTIONS,
        "what becomes of a second interaction of a conversation",
        "refused with 45353, names the channel",
        ERRORS + "45353",
        {
            "refused with 45353, names none": NOTHING,
            "opened": NOTHING,
        },
    ),
    Assumption(
        "closing-interaction",
        INTERACTIONS,
        "what ends when an interaction channel is closed",
        "task and conversation",
        "https://www.twilio.com/docs/flex/developer/conversations/interactions-api/channels-subresource",
    ),
    Assumption(
        "closed-invite",
        INTERACTIONS,
        "refusal of an invite to a closed interaction channel",
        "refused with 45376",
        ERRORS + "45376",
        {"refused with 45008": NOTHING},
    ),
    Assumption(
        "interaction-worker",
        INTERACTIONS,
        "whether an interaction by API goes to the worker in its routing",
        "yes",
        "https://www.twilio.com/docs/flex/developer/conversations/interactions-api/interactions",
        {
            "no, another one": "route by the attribute targetWorkerSid in the workflow, which flexsms writes as well"
        },
    ),
    Assumption(
        "agent-completes",
        INTERACTIONS,
        "what becomes of the conversation that an agent is done with",
        "stays open",
        "https://www.twilio.com/docs/flex/admin-guide/setup/conversations/leave-and-pause-for-conversations",
        {"is closed": "switch Flex's Leave on, or there are no long-lived conversations to clean up"},
    ),
    Assumption(
        "late-text",
        INTERACTIONS,
        "where a text of the customer goes while a cleanup holds the conversation inactive",
        "wakes the conversation",
        "https://www.twilio.com/docs/conversations-classic/inbound-autocreation",
        {"stays in the inactive conversation": NOTHING, "starts another conversation": NOTHING},
    ),
    Assumption(
        "late-text-task",
        INTERACTIONS,
        "whether that text opens a task",
        "yes",
        "https://www.twilio.com/docs/conversations-classic/inbound-autocreation",
        {"no": "let the number's address create conversations with Studio (flexsms setup --number)"},
    ),
    Assumption(
        "task-channel-type",
        INTERACTIONS,
        "what a task that Flex opens for a text says in channelType",
        "sms",
        "https://www.twilio.com/docs/flex/developer/conversations/interactions-api",
        {"none": "nothing to do, flexsms asks the channel, and takes one that tells nothing for a text"},
        rest="name it in channel_types of flexsms_cleanup, or channels of texts are left alone",
    ),
)
