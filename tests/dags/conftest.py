"""DAGs as Airflow runs them: from the configured folder, with a database, against a local Twilio."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from flexsms.retry_policy import FlexRetryPolicy
from flexsms.sandbox.client import SandboxProcess, connection_extra
from tests.conftest import ROOT
from tests.support import repeats

HERE = Path(__file__).resolve().parent
DAGS = ROOT / "include" / "flexsms" / "dags"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Airflow 3.3.2 itself uses a class that pathspec deprecates; that is not ours to fail for."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning"))


@pytest.fixture(autouse=True)
def ask_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    repeats.soon(monkeypatch)


@pytest.fixture
def dags(airflow_db: Path) -> dict[str, Any]:
    """The DAGs by id, parsed anew because tests change them."""
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(DAGS)
    assert bag.import_errors == {}
    return bag.dags


@pytest.fixture
def stack(request: pytest.FixtureRequest) -> str:
    """The stack of `twilio_default`: `chat`, unless a test is marked `on_both_stacks`."""
    return str(getattr(request, "param", "chat"))


on_both_stacks = pytest.mark.parametrize("stack", ["chat", "conversations"], indirect=True)


@pytest.fixture
def number(sandbox: SandboxProcess, stack: str) -> str:
    """The Twilio number of the stack."""
    name = {"chat": "twilio", "conversations": "conversations"}[stack]
    return str(sandbox.settings["numbers"][name])


@pytest.fixture
def connection(sandbox: SandboxProcess, stack: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """`twilio_default` leads to the sandbox."""
    value = {
        "conn_type": "twilio",
        "login": sandbox.settings["account_sid"],
        "password": sandbox.settings["auth_token"],
        "extra": {**connection_extra(sandbox.settings, stack=stack), "timeout_s": 2, "rate_limits": "off"},
    }
    monkeypatch.setenv("AIRFLOW_CONN_TWILIO_DEFAULT", json.dumps(value))
    return value


@pytest.fixture
def session(airflow_db: Path) -> Iterator[Any]:
    """Airflow's database, for looking at what a run left; without cursors of the tests before."""
    from airflow.models.asset_state_store import AssetStateStoreModel  # noqa: TID251
    from airflow.utils.session import create_session  # noqa: TID251
    from sqlalchemy import delete

    with create_session() as opened:
        opened.execute(delete(AssetStateStoreModel))
        opened.commit()
        yield opened


class Run:
    """A DAG run that is over, and what it left in Airflow's database."""

    def __init__(self, dag_run: Any, session: Any) -> None:
        self.state = str(dag_run.state)
        self.run_id: str = dag_run.run_id
        self._session = session

    def states(self, task_id: str) -> list[str]:
        """What became of a task, by map index."""
        return [str(ti.state) for ti in self.instances(task_id)]

    def tries(self, task_id: str) -> list[int]:
        """How often a task was tried, by map index."""
        return [ti.try_number for ti in self.instances(task_id)]

    def xcom(self, task_id: str, key: str = "return_value", map_index: int = -1) -> Any:
        """What a task left, None when it left nothing."""
        return self.xcoms().get((task_id, map_index, key))

    def xcoms(self) -> dict[tuple[str, int, str], Any]:
        """Everything that the tasks left, by task, map index and key."""
        from airflow.models.xcom import XComModel  # noqa: TID251

        rows = self._session.query(XComModel).filter_by(run_id=self.run_id)
        return {(row.task_id, row.map_index, row.key): XComModel.deserialize_value(row) for row in rows}

    def rendered(self) -> list[dict[str, Any]]:
        """The rendered fields of every task, as the web interface shows them."""
        from airflow.models.renderedtifields import RenderedTaskInstanceFields  # noqa: TID251
        from airflow.models.taskinstance import TaskInstance  # noqa: TID251

        instances = self._session.query(TaskInstance).filter_by(run_id=self.run_id)
        fields = [
            RenderedTaskInstanceFields.get_templated_fields(ti, session=self._session) for ti in instances
        ]
        return [one for one in fields if one is not None]

    def events(self) -> list[dict[str, Any]]:
        """The extra of every asset event, in their order."""
        from airflow.models.asset import AssetEvent  # noqa: TID251

        return [
            row.extra
            for row in self._session.query(AssetEvent)
            .filter_by(source_run_id=self.run_id)
            .order_by(AssetEvent.id)
        ]

    def instances(self, task_id: str) -> list[Any]:
        """A task's instances, by map index."""
        from airflow.models.taskinstance import TaskInstance  # noqa: TID251

        rows = self._session.query(TaskInstance).filter_by(run_id=self.run_id, task_id=task_id)
        return sorted(rows, key=lambda ti: ti.map_index)


@pytest.fixture
def run(session: Any, dags: dict[str, Any], connection: dict[str, Any]) -> Callable[..., Run]:
    """Run a DAG with the given conf, to its end."""

    def run(dag_id: str, **conf: Any) -> Run:
        dag = dags[dag_id]
        params = {name: (dag.params.get_param(name), dag.params.get_param(name).value) for name in dag.params}
        # Without this, the first of Airflow's asynchronous operators makes itself a loop and leaves it open.
        asyncio.set_event_loop(None)
        dag_run = dag.test(run_conf=conf)
        for param, value in params.values():
            param.value = value  # a run leaves its conf behind there
        session.expire_all()
        return Run(dag_run, session)

    return run


@pytest.fixture
def cursor(session: Any) -> Callable[[], str | None]:
    """Where the next run of tracking will start."""
    from airflow.models.asset_state_store import AssetStateStoreModel  # noqa: TID251

    def cursor() -> str | None:
        session.expire_all()
        row = (
            session.query(AssetStateStoreModel)
            .filter(AssetStateStoreModel.key.startswith("cursor.taskrouter."))
            .one_or_none()
        )
        return None if row is None else json.loads(row.value)

    return cursor


@pytest.fixture
def tries(dags: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Limit every task to so many tries, without a pause between them."""

    def tries(count: int) -> None:
        changes = {
            "retries": count - 1,
            "retry_delay": timedelta(0),
            "retry_policy": FlexRetryPolicy(first_delay_s=0),
        }
        for task in (task for dag in dags.values() for task in dag.tasks):
            for name, value in changes.items():
                if task.is_mapped:
                    monkeypatch.setitem(task.partial_kwargs, name, value)
                else:
                    monkeypatch.setattr(task, name, value)

    return tries


@pytest.fixture
def table(sandbox: SandboxProcess) -> Callable[[str], list[dict[str, Any]]]:
    """Everything of a kind that the local Twilio has: channels, tasks, documents."""
    return lambda name: sandbox.control.state()["tables"][name]


@pytest.fixture
def active(table: Callable[[str], list[dict[str, Any]]]) -> Callable[[str], bool]:
    """Whether a channel is long-lived still; of a conversation, whether it is open."""

    def active(channel_sid: str) -> bool:
        rows = [*table("channels"), *table("conversations")]
        [channel] = [row for row in rows if row["sid"] == channel_sid]
        if "state" in channel:
            return bool(channel["state"] != "closed")
        return bool(json.loads(channel["attributes"])["long_lived"])

    return active


@pytest.fixture
def writes(sandbox: SandboxProcess) -> Callable[[], list[str]]:
    """The requests since the journal was last emptied that change something."""

    def writes() -> list[str]:
        return [
            f"{entry['method']} {entry['host']}{entry['path']}"
            for entry in sandbox.control.journal()
            if entry["method"] != "GET"
        ]

    return writes
