"""What a batch tells."""

from __future__ import annotations

from flexsms.core.exceptions import InvalidInput, NotAuthorized
from flexsms.twilio.cleanup.outcomes import BatchReport, Outcome


def test_all_failures_are_counted_by_code_also_those_that_are_not_named() -> None:
    sids = [f"CH{number:032x}" for number in range(70)]
    refused = NotAuthorized("POST …: Forbidden (20403).", status=403, code=20403)
    report = BatchReport(
        outcomes=dict.fromkeys(sids, Outcome.FAILED),
        errors={**dict.fromkeys(sids[:60], refused), **dict.fromkeys(sids[60:], InvalidInput("x", "y", "z"))},
    )
    told = report.to_json()
    assert told["failed_by_code"] == {"20403": 60, "0": 10}
    assert len(told["failures"]) == 50
