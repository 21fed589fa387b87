"""What Airflow is told about flexsms: the connection type with its form, the hook, the operators, the extra link.

Every Airflow process loads this module when it starts, so it imports nothing but the version.
"""

from __future__ import annotations

from typing import Any

from flexsms import __version__

INTEGRATION = "Twilio Flex"


def _sid(prefix: str, label: str, description: str) -> dict[str, Any]:
    """The form field of a Twilio SID that may stay empty."""
    schema = {"type": ["string", "null"], "pattern": f"^({prefix}[0-9a-fA-F]{{32}})?$"}
    return {"label": label, "description": description, "schema": schema}


# No schema has a default: for a connection without any extra, Airflow 3.3 would store them all as soon as somebody has
# edited its description. What an empty field means says its description.
CONNECTION_FIELDS: dict[str, dict[str, Any]] = {
    "account_sid": _sid("AC", "Account SID", "AC…; needed when the login is an API key."),
    "stack": {
        "label": "Stack",
        "description": "The generation of Flex messaging: conversations, or chat (Programmable Chat and Proxy). Empty: "
        "conversations.",
        "schema": {
            "type": ["string", "null"],
            "enum": ["conversations", "chat", None],
            "values_display": {"null": "not given: conversations"},
        },
    },
    "sync_service_sid": _sid("IS", "Sync service", "IS…; where channel states and ledgers are kept."),
    "workspace_sid": _sid("WS", "TaskRouter workspace", "WS…; where task events come from."),
    "conversations_service_sid": _sid(
        "IS",
        "Conversations service",
        "IS…; stack conversations: where Flex has its conversations, if that is not the account's default service.",
    ),
    "chat_service_sid": _sid(
        "IS", "Chat service", "IS…; stack chat: the service that Flex keeps channels in."
    ),
    "session_service_sid": _sid(
        "KS", "Proxy service", "KS…; stack chat: carries texts to the handset and back."
    ),
    "workflow_sid": _sid("WW", "TaskRouter workflow", "WW…; stack conversations: routes the tasks."),
    "queue_sid": _sid("WQ", "TaskRouter queue", "WQ…; stack conversations: where tasks wait."),
    "studio_flow_sid": _sid("FW", "Studio flow", "FW…; stack conversations: answers texts of route studio."),
    "auth_token": {
        "label": "Auth Token",
        "description": "Only for checking webhook signatures, when the password is an API key's secret.",
        "schema": {"type": ["string", "null"], "format": "password"},
    },
    "edge": {
        "label": "Edge",
        "description": "Like dublin; give edge and region together, or neither.",
        "schema": {"type": ["string", "null"], "pattern": "^[a-z0-9-]*$"},
    },
    "region": {
        "label": "Region",
        "description": "Like ie1; give edge and region together, or neither.",
        "schema": {"type": ["string", "null"], "pattern": "^[a-z0-9-]*$"},
    },
    "timeout_s": {
        "label": "Timeout",
        "description": "Seconds per request, connecting included. Empty: 15.",
        "schema": {"type": ["number", "null"], "minimum": 0.1, "maximum": 600},
    },
    "max_in_flight": {
        "label": "Requests in flight",
        "description": "At most so many at a time, per process. Empty: 32.",
        "schema": {"type": ["integer", "null"], "minimum": 1, "maximum": 1000},
    },
    "close_after_days": {
        "label": "Close after days",
        "description": "Stack conversations, a safety net: Twilio itself closes a new conversation after so many days "
        "without activity. Give some more than cleanup's retention window; empty: never.",
        "schema": {"type": ["integer", "null"], "minimum": 1, "maximum": 3650},
    },
    "rate_limits": {
        "label": "Rate limits",
        "description": "documented, off, or a JSON object of requests per second by endpoint, or for all of a host "
        'together, like {"proxy.twilio.com": 10}. Empty: documented.',
        "schema": {"type": ["string", "null"]},
    },
    "base_url": {
        "label": "Base URL",
        "description": "Empty for Twilio. For a local Twilio like http://127.0.0.1:9999.",
        "schema": {"type": ["string", "null"], "pattern": "^(https?://.+)?$"},
    },
    "inbox_path": {
        "label": "Inbox",
        "description": "Where posts of Event Streams are kept: a URL like s3://aws_default@bucket/flexsms or "
        "file:///var/lib/flexsms/inbox, the same for all components. Credentials belong into the Airflow connection "
        "that the URL names before the @. Empty: no inbox.",
        "schema": {
            "type": ["string", "null"],
            "pattern": "^([a-z][a-z0-9+.-]*://([A-Za-z0-9_.-]+@)?[^@/?#]*(/[^?#]*)?)?$",
        },
    },
    "events_url": {
        "label": "Events URL",
        "description": "What Twilio posts events to, like https://airflow.example.com/flexsms/events. It is part of "
        "Twilio's signature; the inbox takes nothing in without it.",
        "schema": {"type": ["string", "null"], "pattern": "^(https?://[^/?#@]+/[^?#]*)?$"},
    },
    "events_conn_id": {
        "label": "Collector",
        "description": "Source http: the Airflow connection of type http that events are pulled from. Empty: "
        "flexsms_events.",
        "schema": {"type": ["string", "null"]},
    },
    "events_endpoint": {
        "label": "Collector's endpoint",
        "description": "Source http: its path. Empty: /flexsms/events, which another Airflow with flexsms has.",
        "schema": {"type": ["string", "null"]},
    },
    "inbox_keep_days": {
        "label": "Keep posts for",
        "description": "Days that a post stays in the inbox after it has arrived; an unread one stays. Empty: 7.",
        "schema": {"type": ["integer", "null"], "minimum": 1, "maximum": 3650},
    },
    "kinesis_stream": {
        "label": "Kinesis stream",
        "description": "Source kinesis: name or ARN of the stream that a sink of Event Streams writes to.",
        "schema": {
            "type": ["string", "null"],
            "pattern": "^((arn:aws[a-z-]*:kinesis:[a-z0-9-]+:[0-9]+:stream/)?[a-zA-Z0-9_.-]{1,128})?$",
        },
    },
    "kinesis_conn_id": {
        "label": "AWS connection",
        "description": "Source kinesis: the Airflow connection of type aws; needs flexsms with the extra [kinesis]. "
        "Empty: aws_default.",
        "schema": {"type": ["string", "null"]},
    },
}

CONFIG: dict[str, Any] = {
    "flexsms": {
        "description": "flexsms: SMS conversations of Twilio Flex.",
        "options": {
            "twilio_conn_id": {
                "description": "The Airflow connection that the DAGs and commands of flexsms use unless told "
                "otherwise, and of the account whose events are received under /flexsms/events.",
                "version_added": "0.1.0",
                "type": "string",
                "example": None,
                "default": "twilio_default",
            },
            "channel_types": {
                "description": "Which kinds of channels flexsms_cleanup retires unless told otherwise, separated by "
                "commas, as tasks name them in channelType.",
                "version_added": "0.1.0",
                "type": "string",
                "example": "sms, whatsapp",
                "default": "sms",
            },
            "pool": {
                "description": "The pool of every task of flexsms. It has to exist. Empty: Airflow's default pool.",
                "version_added": "0.1.0",
                "type": "string",
                "example": "flexsms",
                "default": "",
            },
            "queue": {
                "description": "The queue of every task of flexsms, for an executor that has queues. Empty: "
                "Airflow's default queue.",
                "version_added": "0.1.0",
                "type": "string",
                "example": "flexsms",
                "default": "",
            },
            "send_pool": {
                "description": "The pool of the tasks of flexsms_send alone, so that many texts at once do not keep "
                "tracking and cleanup waiting. It has to exist. Empty: as the option pool says.",
                "version_added": "0.1.0",
                "type": "string",
                "example": "flexsms_send",
                "default": "",
            },
            "send_queue": {
                "description": "The queue of the tasks of flexsms_send alone. Empty: as the option queue says.",
                "version_added": "0.1.0",
                "type": "string",
                "example": "flexsms_send",
                "default": "",
            },
        },
    }
}


def get_provider_info() -> dict[str, Any]:
    """The provider's metadata, as ``airflow/provider_info.schema.json`` wants it."""
    return {
        "package-name": "flexsms",
        "name": INTEGRATION,
        "description": "Run Twilio Flex SMS conversations from Airflow: send, track, clean up.",
        "versions": [__version__],
        "integrations": [
            {
                "integration-name": INTEGRATION,
                "external-doc-url": "https://www.twilio.com/docs/flex",
                "tags": ["service"],
            }
        ],
        "hooks": [{"integration-name": INTEGRATION, "python-modules": ["flexsms.hooks.twilio"]}],
        "operators": [
            {
                "integration-name": INTEGRATION,
                "python-modules": [
                    "flexsms.operators.send",
                    "flexsms.operators.track",
                    "flexsms.operators.cleanup",
                    "flexsms.operators.cleanup_report",
                    "flexsms.operators.setup",
                ],
            }
        ],
        "sensors": [{"integration-name": INTEGRATION, "python-modules": ["flexsms.operators.delivery"]}],
        "triggers": [
            {
                "integration-name": INTEGRATION,
                "python-modules": [
                    "flexsms.triggers.delivery",
                    "flexsms.triggers.channel",
                    "flexsms.triggers.inbox",
                ],
            }
        ],
        "bundles": [{"integration-name": INTEGRATION, "python-modules": ["flexsms.bundle"]}],
        # Its URIs mean themselves; nothing has to be put into a normal form.
        "asset-uris": [{"schemes": ["x-flexsms"], "handler": None}],
        "cli": ["flexsms.commands.in_airflow.get_commands"],
        "config": CONFIG,
        "extra-links": ["flexsms.links.ChannelLink"],
        "connection-types": [
            {
                "connection-type": "twilio",
                "hook-class-name": "flexsms.hooks.twilio.TwilioHook",
                "hook-name": INTEGRATION,
                "conn-fields": CONNECTION_FIELDS,
                "ui-field-behaviour": {
                    "hidden-fields": ["host", "schema", "port"],
                    "relabeling": {
                        "login": "Account SID or API key SID",
                        "password": "Auth Token or API key secret",
                    },
                    "placeholders": {
                        "login": "AC… or SK…",
                        "password": "the token or secret that belongs to it",
                        "sync_service_sid": "IS…",
                        "workspace_sid": "WS…",
                        "conversations_service_sid": "IS…",
                        "chat_service_sid": "IS…",
                        "session_service_sid": "KS…",
                    },
                },
            }
        ],
    }
