"""Run Twilio Flex SMS conversations from Apache Airflow: send, track, clean up.

The names in ``__all__`` are the public interface. Everything else is internal and may change with any version.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flexsms.assets import BROADCAST, CHANNEL_STATE, TEXT
    from flexsms.core.exceptions import FlexSmsError, PermanentError, RetryableError
    from flexsms.hooks.twilio import TwilioHook
    from flexsms.notifications.sms import FlexSmsNotifier
    from flexsms.operators.broadcast import FlexBroadcastOperator
    from flexsms.operators.broadcast_approval import FlexBroadcastApprovalOperator
    from flexsms.operators.broadcast_check import FlexBroadcastCheckOperator
    from flexsms.operators.broadcast_report import FlexBroadcastReportOperator
    from flexsms.operators.cleanup import FlexCleanupOperator
    from flexsms.operators.cleanup_approval import FlexCleanupApprovalOperator
    from flexsms.operators.cleanup_plan import FlexCleanupPlanOperator
    from flexsms.operators.cleanup_report import FlexCleanupReportOperator
    from flexsms.operators.send import FlexSendOperator
    from flexsms.operators.setup import FlexSetupOperator
    from flexsms.operators.track import FlexTrackOperator
    from flexsms.retry_policy import FlexRetryPolicy, task_defaults
    from flexsms.sensors.broadcast_delivery import FlexBroadcastDeliverySensor
    from flexsms.sensors.delivery import FlexDeliverySensor

__version__ = "0.1.0"

__all__ = [
    "BROADCAST",
    "CHANNEL_STATE",
    "TEXT",
    "FlexBroadcastApprovalOperator",
    "FlexBroadcastCheckOperator",
    "FlexBroadcastDeliverySensor",
    "FlexBroadcastOperator",
    "FlexBroadcastReportOperator",
    "FlexCleanupApprovalOperator",
    "FlexCleanupOperator",
    "FlexCleanupPlanOperator",
    "FlexCleanupReportOperator",
    "FlexDeliverySensor",
    "FlexRetryPolicy",
    "FlexSendOperator",
    "FlexSetupOperator",
    "FlexSmsError",
    "FlexSmsNotifier",
    "FlexTrackOperator",
    "PermanentError",
    "RetryableError",
    "TwilioHook",
    "__version__",
    "task_defaults",
]

# Every Airflow process imports this package when it starts, to read the provider's metadata: so nothing is loaded
# before somebody asks for it.
_MODULE_OF = {
    "BROADCAST": "flexsms.assets",
    "CHANNEL_STATE": "flexsms.assets",
    "FlexBroadcastApprovalOperator": "flexsms.operators.broadcast_approval",
    "FlexBroadcastCheckOperator": "flexsms.operators.broadcast_check",
    "FlexBroadcastDeliverySensor": "flexsms.sensors.broadcast_delivery",
    "FlexBroadcastOperator": "flexsms.operators.broadcast",
    "FlexBroadcastReportOperator": "flexsms.operators.broadcast_report",
    "FlexCleanupApprovalOperator": "flexsms.operators.cleanup_approval",
    "FlexCleanupOperator": "flexsms.operators.cleanup",
    "FlexCleanupPlanOperator": "flexsms.operators.cleanup_plan",
    "FlexCleanupReportOperator": "flexsms.operators.cleanup_report",
    "FlexDeliverySensor": "flexsms.sensors.delivery",
    "FlexRetryPolicy": "flexsms.retry_policy",
    "FlexSendOperator": "flexsms.operators.send",
    "FlexSetupOperator": "flexsms.operators.setup",
    "FlexSmsError": "flexsms.core.exceptions",
    "FlexSmsNotifier": "flexsms.notifications.sms",
    "FlexTrackOperator": "flexsms.operators.track",
    "PermanentError": "flexsms.core.exceptions",
    "RetryableError": "flexsms.core.exceptions",
    "TEXT": "flexsms.assets",
    "TwilioHook": "flexsms.hooks.twilio",
    "task_defaults": "flexsms.retry_policy",
}


if not TYPE_CHECKING:  # or mypy would take every name there is not for one of these

    def __getattr__(name: str) -> Any:
        if name not in _MODULE_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(_MODULE_OF[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
