"""What is assumed of the products that both stacks use: Sync, TaskRouter and Event Streams."""

from __future__ import annotations

from collections.abc import Sequence

from flexsms.core.verify import ERRORS, NOBODY, NOTHING, Assumption

SYNC = "Sync"
TASKROUTER = "TaskRouter"
STREAMS = "Event Streams"

ASSUMPTIONS: Sequence[Assumption] = (
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
)
