"""The assumptions themselves: what nobody could verify without an account of Twilio's, product by product."""

from __future__ import annotations

from collections.abc import Mapping

from flexsms.core.exceptions import MIGRATE
from flexsms.core.verify import NOTHING, Assumption

NOBODY = "nobody documents it"
ERRORS = "https://www.twilio.com/docs/api/errors/"
SYNC, TASKROUTER, STREAMS = "Sync", "TaskRouter", "Event Streams"
CONVERSATIONS, INTERACTIONS = "Conversations", "Interactions"
CHAT, PROXY = "Chat", "Proxy"

_ALL = (
    # Sync
    Assumption(
        "sync-missing",
        SYNC,
        "code of a document or map that is missing under its unique name",
        "54300",
        ERRORS + "54300",
        {"54100, 54200": NOTHING, "20404": NOTHING},
    ),
    Assumption(
        "sync-too-large",
        SYNC,
        "refusal of a document over 16 KiB",
        "413 with 54006",
        ERRORS + "54006",
        {"400 with 54006": NOTHING},
    ),
    Assumption(
        "sync-name-length",
        SYNC,
        "whether a unique name of 300 characters is taken",
        "no, refused with 54302",
        ERRORS + "54302",
        {"yes": NOTHING},
    ),
    Assumption(
        "sync-if-match",
        SYNC,
        "what If-Match is compared with",
        "the revision",
        ERRORS + "54103",
        {"the revision in quotes": "nothing to do, flexsms adds them, for a second call per write"},
    ),
    # TaskRouter
    Assumption(
        "task-list-attributes",
        TASKROUTER,
        "whether a list of tasks shows their attributes",
        "yes",
        "https://www.twilio.com/docs/taskrouter/api/task",
        {"no": "nothing to do, flexsms_cleanup fetches each open task by itself, a call more for each"},
    ),
    Assumption(
        "task-list-pages",
        TASKROUTER,
        "whether the list of tasks has further pages",
        "yes",
        "https://www.twilio.com/docs/taskrouter/api/task",
        {
            "no": "keep fewer than 2000 tasks of a status open, or flexsms_cleanup retires nothing",
            "refused with 20001": "keep fewer than 2000 tasks of a status open, or flexsms_cleanup retires nothing",
        },
    ),
    Assumption(
        "task-list-keeps-ended",
        TASKROUTER,
        "whether a task is listed for a while after its end",
        "yes",
        "https://www.twilio.com/docs/taskrouter/lifecycle-task-state",
    ),
    Assumption(
        "event-list-delay",
        TASKROUTER,
        "when an event is in the list of events",
        "within a minute",
        NOBODY,
        {"later": "raise lookback_minutes of flexsms_track above the longest delay that you see"},
    ),
    Assumption(
        "event-list-pages",
        TASKROUTER,
        "whether the list of events has further pages",
        "yes",
        "https://www.twilio.com/docs/taskrouter/api/event",
        {"no": "nothing to do, flexsms halves the time range where a page is full"},
    ),
    Assumption(
        "event-list-order",
        TASKROUTER,
        "order of the list of events",
        "newest first",
        NOBODY,
        {"oldest first": NOTHING},
    ),
    # Event Streams
    Assumption(
        "sink-active",
        STREAMS,
        "when a new webhook sink is active",
        "at once",
        "https://www.twilio.com/docs/events/event-streams/sink-resource",
        {
            "later": "nothing to do, flexsms setup waits for it; run it again if that takes over 15 s",
            "not by itself": "run flexsms setup again with the test event's ID as --test-id",
        },
    ),
    Assumption(
        "sink-configuration",
        STREAMS,
        "whether a list of sinks shows where a webhook sink posts",
        "yes",
        NOBODY,
        {"no": "remove the old sink yourself before flexsms setup, and report this"},
    ),
    # Conversations
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
    # Interactions
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
    # Chat and Proxy
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

ASSUMPTIONS: Mapping[str, Assumption] = {one.name: one for one in _ALL}
