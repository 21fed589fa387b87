"""What Airflow is told about flexsms: the connection type with its form, the hook, the operators, the extra link.

Every Airflow process loads this module when it starts, so it imports nothing of flexsms but the version.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from flexsms import __version__

INTEGRATION = "Twilio Flex"

# Made from flexsms.twilio.client.settings by `make form`.
CONNECTION_FIELDS: dict[str, dict[str, Any]] = json.loads(
    Path(__file__).with_name("connection_form.json").read_text(encoding="utf-8")
)

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
        "sensors": [{"integration-name": INTEGRATION, "python-modules": ["flexsms.sensors.delivery"]}],
        "triggers": [
            {
                "integration-name": INTEGRATION,
                "python-modules": [
                    "flexsms.triggers.delivery",
                    "flexsms.triggers.interaction_channel",
                    "flexsms.triggers.inbox",
                ],
            }
        ],
        "bundles": [{"integration-name": INTEGRATION, "python-modules": ["flexsms.bundle"]}],
        # Its URIs mean themselves; nothing has to be put into a normal form.
        "asset-uris": [{"schemes": ["x-flexsms"], "handler": None}],
        "cli": ["flexsms.cli.in_airflow.get_commands"],
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
