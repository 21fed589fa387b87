"""flex-api v1: the account's Flex configuration, as far as it says what Flex works with."""

from __future__ import annotations

from ...http import Response, ok
from ...routing.call import Call
from ...routing.router import router
from ...state.rows.row import dates

HOST = "flex-api.twilio.com"
api = router(HOST)

# Of the user interface and of voice. Nobody here has set any of it, and all may be null.
UNSET = (
    "attributes",
    "taskrouter_taskqueues",
    "taskrouter_skills",
    "taskrouter_worker_channels",
    "taskrouter_worker_attributes",
    "runtime_domain",
    "messaging_service_instance_sid",
    "flex_service_instance_sid",
    "flex_instance_sid",
    "ui_language",
    "ui_attributes",
    "ui_dependencies",
    "ui_version",
    "service_version",
    "call_recording_enabled",
    "call_recording_webhook_url",
    "crm_enabled",
    "crm_type",
    "crm_callback_url",
    "crm_fallback_url",
    "crm_attributes",
    "public_attributes",
    "plugin_service_enabled",
    "plugin_service_attributes",
    "integrations",
    "outbound_call_flows",
    "serverless_service_sids",
    "queue_stats_configuration",
    "notifications",
    "markdown",
    "flex_insights_hr",
    "flex_insights_drilldown",
    "flex_url",
    "channel_configs",
    "debugger_integration",
    "flex_ui_status_report",
    "agent_conv_end_methods",
    "citrix_voice_vdi",
    "offline_config",
)


@api.get("/v1/Configuration")
def fetch_configuration(call: Call) -> Response:
    """`chat_service_instance_sid` is the Conversations service that Flex uses."""
    account = call.account
    service = account.store.services.get(account.chat_service_sid)
    assert service is not None  # noqa: S101 (every account is born with it)
    return ok(
        {
            **dict.fromkeys(UNSET),
            "account_sid": account.account_sid,
            **dates(service),
            "status": "ok",
            "taskrouter_workspace_sid": account.workspace_sid,
            "taskrouter_target_workflow_sid": account.workflow_sid,
            "taskrouter_target_taskqueue_sid": account.queue_sid,
            "taskrouter_offline_activity_sid": account.activity_sids["Offline"],
            "chat_service_instance_sid": account.chat_service_sid,
            "url": f"https://{HOST}/v1/Configuration",
        }
    )
