"""Operators with a local Twilio behind them, and with what Airflow would hand them at hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.execution_time.comms import CreateHITLDetailPayload, HITLDetailRequestResult

from flexsms.core.stack_name import StackName
from flexsms.sandbox.client import SandboxProcess
from tests.support import repeats
from tests.support.stores import AnyAsset, Store


class FakeContext(dict[str, Any]):
    """What an operator finds when it runs, and what it leaves."""

    def __init__(self, task_id: str = "task", map_index: int = -1, try_number: int = 1) -> None:
        self.pushed: dict[str, Any] = {}
        self.pulled: dict[tuple[str, str, int], Any] = {}
        self.tasks, self.cursors = Store(), Store()
        self.event = SimpleNamespace(extra={})
        ti = SimpleNamespace(
            dag_id="dag",
            run_id="manual__1",
            task_id=task_id,
            map_index=map_index,
            try_number=try_number,
            max_tries=5,
            xcom_push=lambda key, value: self.pushed.update({key: json.loads(json.dumps(value))}),
            xcom_pull=self._pull,
        )
        super().__init__(
            ti=ti,
            dag_run=SimpleNamespace(clear_number=0),
            params={},
            task_state_store=self.tasks,
            asset_state_store=AnyAsset(self.cursors),
            outlet_events=AnyAsset(self.event),
        )

    def _pull(self, *, task_ids: str, key: str = "return_value", map_indexes: list[int] | None = None) -> Any:
        if map_indexes is None:
            left = self.pushed.get(key) if task_ids == self["ti"].task_id else None
            return self.pulled.get((task_ids, key, -1), left)
        return [self.pulled.get((task_ids, key, index)) for index in map_indexes]


@pytest.fixture(autouse=True)
def ask_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    repeats.soon(monkeypatch)


@pytest.fixture
def context() -> FakeContext:
    return FakeContext()


def taskrouter_cursor(sandbox: SandboxProcess) -> str:
    """The key of the cursor of its workspace."""
    return f"cursor.taskrouter.{sandbox.settings['workspace_sid']}"


def ends_of(sandbox: SandboxProcess) -> str:
    """The key of its open tasks, and of the ends that wait for one."""
    return f"ends.{sandbox.settings['sync_service_sid']}"


@pytest.fixture
def connection(
    sandbox: SandboxProcess, connection_extra: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., None]:
    """`twilio_default` leads to the sandbox; call it to change the connection's extra."""

    def connection(**extra: Any) -> None:
        value = {
            "conn_type": "twilio",
            "login": sandbox.settings["account_sid"],
            "password": sandbox.settings["auth_token"],
            "extra": {**connection_extra, "timeout_s": 1, "rate_limits": "off", **extra},
        }
        monkeypatch.setenv("AIRFLOW_CONN_TWILIO_DEFAULT", json.dumps(value))

    connection()
    return connection


class Page:
    """Where Airflow shows a question: of a task in a run, the first one for ever."""

    shown: Any = None

    def send(self, msg: Any) -> Any:
        """What the execution API answers to a question."""
        assert isinstance(msg, CreateHITLDetailPayload)
        self.shown = self.shown or msg
        return HITLDetailRequestResult(**self.shown.model_dump(exclude={"type"}))


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Page:
    """Airflow takes questions."""
    page = Page()
    monkeypatch.setattr("airflow.sdk.execution_time.task_runner.SUPERVISOR_COMMS", page, raising=False)
    return page


@pytest.fixture(params=StackName)
def stack(request: pytest.FixtureRequest, connection: Callable[..., None]) -> str:
    """Each of the two stacks, over a connection that has nothing of the other one."""
    stack: StackName = request.param
    connection(stack=str(stack), **{} if stack is StackName.CHAT else {"session_service_sid": ""})
    return str(stack)
