"""What OpenLineage would be told. Its provider is optional, so stand-ins have its names and take its arguments."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import pytest

from flexsms.lineage import WithLineage
from flexsms.operators.cleanup import FlexCleanupOperator
from flexsms.operators.cleanup_plan import FlexCleanupPlanOperator
from flexsms.operators.send import FlexSendOperator
from flexsms.operators.track import FlexTrackOperator
from flexsms.sandbox.client import SandboxProcess
from tests.operators.conftest import FakeContext, connection

__all__ = ["connection"]


@dataclass
class OperatorLineage:
    inputs: list[Any] = field(default_factory=list)
    outputs: list[Any] = field(default_factory=list)
    run_facets: dict[str, Any] = field(default_factory=dict)
    job_facets: dict[str, Any] = field(default_factory=dict)


@dataclass
class InputDataset:
    namespace: str
    name: str


@dataclass
class OutputDataset:
    namespace: str
    name: str
    outputFacets: dict[str, Any]  # OpenLineage's spelling


@dataclass
class OutputStatisticsOutputDatasetFacet:
    rowCount: int  # OpenLineage's spelling


@pytest.fixture
def openlineage(monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules by the names of the provider and its client."""
    modules: dict[str, list[type]] = {
        "airflow.providers.openlineage.extractors": [OperatorLineage],
        "openlineage.client.generated.base": [InputDataset, OutputDataset],
        "openlineage.client.generated.output_statistics_output_dataset": [OutputStatisticsOutputDatasetFacet],
    }
    for name, members in modules.items():
        parts = name.split(".")
        for end in range(1, len(parts) + 1):
            path = ".".join(parts[:end])
            if path not in ("airflow", "airflow.providers"):
                monkeypatch.setitem(sys.modules, path, ModuleType(path))
        for member in members:
            setattr(sys.modules[name], member.__name__, member)


def told(task: WithLineage) -> tuple[list[str], list[tuple[str, int]]]:
    """What was read, and what was written with how many rows."""
    facets = task.get_openlineage_facets_on_complete(None)
    for one in (*facets.inputs, *facets.outputs):
        assert re.fullmatch("twilio://AC[0-9a-f]{32}", one.namespace)
        assert not re.search(r"\d{7}", re.sub("[A-Z]{2}[0-9a-f]{32}", "", one.name))
    written = [(one.name, one.outputFacets["outputStatistics"].rowCount) for one in facets.outputs]
    return [one.name for one in facets.inputs], written


@pytest.mark.usefixtures("connection", "openlineage")
def test_events_in_documents_out(sandbox: SandboxProcess) -> None:
    sandbox.control.seed(channels=4, due=3)
    task = FlexTrackOperator(task_id="track")
    report = asyncio.run(task.aexecute(FakeContext()))  # type: ignore[arg-type]
    workspace, service = sandbox.settings["workspace_sid"], sandbox.settings["sync_service_sid"]
    assert report["created"] == 4
    assert told(task) == ([f"taskrouter/{workspace}/events"], [(f"sync/{service}/documents", 4)])


@pytest.mark.parametrize(("preview", "rows"), [(False, 3), (True, 0)])
@pytest.mark.usefixtures("connection", "openlineage")
def test_documents_in_channels_out(preview: bool, rows: int, sandbox: SandboxProcess) -> None:
    sandbox.control.seed(channels=4, due=3)
    context = FakeContext("plan")
    [batch] = asyncio.run(FlexCleanupPlanOperator(task_id="plan", preview=preview).aexecute(context))  # type: ignore[arg-type]
    task = FlexCleanupOperator(task_id="retire", batch=batch, preview=preview)
    asyncio.run(task.aexecute(context))  # type: ignore[arg-type]
    service = sandbox.settings["sync_service_sid"]
    assert told(task) == ([f"sync/{service}/documents"], [("flex/channels", rows)])


@pytest.mark.usefixtures("connection", "openlineage")
def test_a_text_is_a_row_once(sandbox: SandboxProcess) -> None:
    found = []
    for _ in range(2):
        task = FlexSendOperator(
            task_id="send",
            from_number="+14155550100",
            to_number="+14155550199",
            body="Hello",
            idempotency_key="1",
        )
        asyncio.run(task.aexecute(FakeContext("send")))  # type: ignore[arg-type]
        found.append(told(task))
    assert found == [([], [("flex/texts", 1)]), ([], [("flex/texts", 0)])]


def test_what_did_not_run_tells_nothing(connection: Callable[..., None]) -> None:
    assert FlexTrackOperator(task_id="track").get_openlineage_facets_on_complete(None) is None
