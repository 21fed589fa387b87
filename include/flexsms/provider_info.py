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


def _option(description: str, default: str, example: str, kind: str = "string") -> dict[str, Any]:
    return {
        "description": description,
        "version_added": "0.1.0",
        "type": kind,
        "example": example,
        "default": default,
    }


CONFIG: dict[str, Any] = {
    "flexsms": {
        "description": "flexsms: SMS conversations of Twilio Flex.",
        "options": {
            "twilio_conn_id": _option(
                "The Airflow connection that the DAGs and commands of flexsms use unless told otherwise, and of the "
                "account whose events are received under /flexsms/events.",
                "twilio_default",
                "twilio_eu",
            ),
            "from_number": _option(
                "The Twilio number that the form of flexsms_send begins with, E.164. Empty: every run has to name one.",
                "",
                "+14155550100",
            ),
            "retention_days": _option(
                "A channel is due for flexsms_cleanup when its last task ended at least so many days ago. May be a "
                "fraction: 0.5 is twelve hours.",
                "2",
                "14",
                "float",
            ),
            "cleanup_action": _option(
                "How flexsms_cleanup retires a due channel: deactivate makes it short-lived and inactive, delete "
                "removes it with its history.",
                "deactivate",
                "delete",
            ),
            "cleanup_limit": _option(
                "How many channels a run of flexsms_cleanup retires at most, those that have been quiet longest first.",
                "10000",
                "2000",
                "integer",
            ),
            "cleanup_schedule": _option(
                "When flexsms_cleanup runs: a cron expression, in UTC.", "0 3 * * *", "30 1 * * 1-5"
            ),
            "channel_types": _option(
                "Which kinds of channels flexsms_cleanup retires, separated by commas, as tasks name them in "
                "channelType.",
                "sms",
                "sms, whatsapp",
            ),
            "approve_over": _option(
                "How many channels may be due before a run of flexsms_cleanup waits for a person's approval. Empty: "
                "any number. A run that deletes channels always waits.",
                "",
                "5000",
                "integer",
            ),
            "second_person": _option(
                "Whether somebody else than who has started a run of flexsms_cleanup or flexsms_broadcast has to "
                "approve it. Then nobody can raise approve_over above its option in the form.",
                "false",
                "true",
                "boolean",
            ),
            "broadcast_approve_over": _option(
                "How many people may be texted before a run of flexsms_broadcast waits for a person's approval. Empty: "
                "any number.",
                "100",
                "1000",
                "integer",
            ),
            "broadcast_hours": _option(
                "The hours, in the recipient's local time, in which texts of flexsms_broadcast leave.",
                "08:00-21:00",
                "09:00-18:00",
            ),
            "broadcast_workers": _option(
                "How many batches of a run of flexsms_broadcast are sent at the same time.",
                "4",
                "8",
                "integer",
            ),
            "track_source": _option(
                "Where scheduled runs of flexsms_track read task events: taskrouter, inbox, http or kinesis.",
                "taskrouter",
                "kinesis",
            ),
            "track_schedule": _option(
                "When flexsms_track runs: a cron expression, in UTC. Posts in the inbox start it as well.",
                "*/10 * * * *",
                "*/5 * * * *",
            ),
            "broadcast_path": _option(
                "Where the files of broadcasts are whose list is no file: below this folder or bucket, like "
                "file:///var/lib/flexsms/broadcasts. It has to be one that every worker reaches.",
                "",
                "s3://aws_default@bucket/flexsms/broadcasts",
            ),
            "pool": _option(
                "The pool of every task of flexsms. It has to exist. Empty: Airflow's default pool.",
                "",
                "flexsms",
            ),
            "queue": _option(
                "The queue of every task of flexsms, for an executor that has queues. Empty: Airflow's default queue.",
                "",
                "flexsms",
            ),
            "send_pool": _option(
                "The pool of the tasks of flexsms_send alone, so that many texts at once do not keep tracking and "
                "cleanup waiting. It has to exist. Empty: as the option pool says.",
                "",
                "flexsms_send",
            ),
            "send_queue": _option(
                "The queue of the tasks of flexsms_send alone. Empty: as the option queue says.",
                "",
                "flexsms_send",
            ),
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
                    "flexsms.operators.cleanup_plan",
                    "flexsms.operators.cleanup_approval",
                    "flexsms.operators.cleanup_report",
                    "flexsms.operators.broadcast",
                    "flexsms.operators.broadcast_approval",
                    "flexsms.operators.broadcast_check",
                    "flexsms.operators.broadcast_report",
                    "flexsms.operators.setup",
                ],
            }
        ],
        "sensors": [
            {
                "integration-name": INTEGRATION,
                "python-modules": ["flexsms.sensors.delivery", "flexsms.sensors.broadcast_delivery"],
            }
        ],
        "triggers": [
            {
                "integration-name": INTEGRATION,
                "python-modules": [
                    "flexsms.triggers.delivery",
                    "flexsms.triggers.interaction_channel",
                    "flexsms.triggers.inbox",
                    "flexsms.triggers.open_tasks",
                ],
            }
        ],
        "notifications": ["flexsms.notifications.sms.FlexSmsNotifier"],
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
                    "hidden-fields": ["host", "schema"],
                    "relabeling": {
                        "login": "Account SID or API key SID",
                        "password": "Auth Token or API key secret",
                        # Airflow 3.3 tests a stored connection only if its port is a number.
                        "port": "Port (0, for the Test button)",
                    },
                    "placeholders": {
                        "login": "AC… or SK…",
                        "password": "the token or secret that belongs to it",
                        "port": "0",
                        "sync_service_sid": "IS…",
                        "workspace_sid": "WS…",
                        "workflow_sid": "WW…",
                        "studio_flow_sid": "FW…",
                        "account_sid": "AC…",
                        "conversations_service_sid": "IS…",
                        "chat_service_sid": "IS…",
                        "session_service_sid": "KS…",
                    },
                },
            }
        ],
    }
