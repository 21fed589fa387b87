"""The public interface: what `flexsms` exports, and that nothing is loaded before somebody asks for it."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any, assert_type

import pytest
from airflow.sdk import Asset

import flexsms

PUBLIC = {
    "BROADCAST",
    "CHANNEL_STATE",
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
    "TEXT",
    "TwilioHook",
    "__version__",
    "task_defaults",
}
LOADED = """
import sys
{statement}
print(*sorted(sys.modules))
"""


def loaded_by(statement: str) -> set[str]:
    """The modules of a fresh interpreter after a statement."""
    command = [sys.executable, "-c", LOADED.format(statement=statement)]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


def test_what_is_exported() -> None:
    assert set(flexsms.__all__) == PUBLIC
    assert set(dir(flexsms)) >= PUBLIC
    assert flexsms._MODULE_OF.keys() == PUBLIC - {"__version__"}


@pytest.mark.parametrize("name", sorted(PUBLIC - {"__version__"}))
def test_each_name_resolves_to_what_its_module_defines(name: str) -> None:
    value = getattr(flexsms, name)
    assert value is getattr(sys.modules[flexsms._MODULE_OF[name]], name)
    assert getattr(value, "__module__", flexsms._MODULE_OF[name]) in (
        flexsms._MODULE_OF[name],
        Asset.__module__,
    )


def test_importing_flexsms_loads_nothing_of_it_nor_of_airflow_and_twilio() -> None:
    roots = ("airflow", "twilio", "aiohttp", "pydantic")
    loaded = loaded_by("import flexsms; dir(flexsms)")
    assert {name for name in loaded if name.startswith("flexsms.") or name.split(".")[0] in roots} == set()


def test_an_error_is_had_without_airflow() -> None:
    loaded = loaded_by("from flexsms import PermanentError")
    assert "flexsms.core.exceptions" in loaded
    assert "airflow" not in loaded


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'flexsms' has no attribute 'FlexNothing'"):
        getattr(flexsms, "FlexNothing")  # noqa: B009 (mypy would refuse the plain attribute)


if TYPE_CHECKING:
    from flexsms.core import exceptions
    from flexsms.hooks.twilio import TwilioHook
    from flexsms.operators import cleanup, cleanup_approval, cleanup_plan, cleanup_report, send, setup, track
    from flexsms.retry_policy import FlexRetryPolicy
    from flexsms.sensors.delivery import FlexDeliverySensor

    def is_typed(
        plan: flexsms.FlexCleanupPlanOperator,
        approval: flexsms.FlexCleanupApprovalOperator,
        batch: flexsms.FlexCleanupOperator,
        report: flexsms.FlexCleanupReportOperator,
        text: flexsms.FlexSendOperator,
        account: flexsms.FlexSetupOperator,
        events: flexsms.FlexTrackOperator,
        delivery: flexsms.FlexDeliverySensor,
        hook: flexsms.TwilioHook,
        policy: flexsms.FlexRetryPolicy,
        error: flexsms.FlexSmsError,
        permanent: flexsms.PermanentError,
        retryable: flexsms.RetryableError,
    ) -> None:
        """Mypy knows each public name as what its module defines, and none as Any."""
        assert_type(plan, cleanup_plan.FlexCleanupPlanOperator)
        assert_type(approval, cleanup_approval.FlexCleanupApprovalOperator)
        assert_type(batch, cleanup.FlexCleanupOperator)
        assert_type(report, cleanup_report.FlexCleanupReportOperator)
        assert_type(text, send.FlexSendOperator)
        assert_type(account, setup.FlexSetupOperator)
        assert_type(events, track.FlexTrackOperator)
        assert_type(delivery, FlexDeliverySensor)
        assert_type(hook, TwilioHook)
        assert_type(policy, FlexRetryPolicy)
        assert_type(error, exceptions.FlexSmsError)
        assert_type(permanent, exceptions.PermanentError)
        assert_type(retryable, exceptions.RetryableError)
        assert_type(flexsms.CHANNEL_STATE, Asset)
        assert_type(flexsms.task_defaults(), dict[str, Any])
        assert_type(flexsms.__version__, str)
        flexsms.FlexNothing  # type: ignore[attr-defined]  # noqa: B018
