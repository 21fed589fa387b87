"""What every test can rely on: a clean environment, a local Twilio, and Airflow's database for those that ask.

Airflow reads its settings when it is first imported, so the environment is put in order here, on import, before any
test module is. Tests never see the settings of whoever runs them.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from flexsms.sandbox.client import SandboxProcess
    from tests.support.kinesis_server import KinesisServer

ROOT = Path(__file__).resolve().parents[1]
SCRATCH = ROOT / ".cache" / "tests"
SCRATCH.mkdir(parents=True, exist_ok=True)
# `make test` runs several workers (pytest-xdist). Each has a home of its own; what sandboxes record is shared.
WORKER = os.environ.get("PYTEST_XDIST_WORKER")
if WORKER is None:
    os.environ["PYTEST_FLEXSMS_RUN"] = tempfile.mkdtemp(prefix="run-", dir=SCRATCH)
RUN = Path(os.environ["PYTEST_FLEXSMS_RUN"])
HOME = RUN / (WORKER or "home")
RECORDINGS = RUN / "recordings"
WAIT_FOR_WORKERS_S = 500
# The longest first.
TAKES_LONG = ("e2e", "kill", "bench", "web", "twilio", "dags", "operators", "verify", "chaos")

assert "airflow" not in sys.modules, "something imported Airflow before its settings were in place"
for name in list(os.environ):
    if name.startswith(("AIRFLOW_", "AWS_", "TWILIO_", "FLEXSMS_")):
        del os.environ[name]
os.environ.update(
    {
        "AIRFLOW_HOME": str(HOME / "airflow"),
        # dag.test() wants a DAG to be in the configured bundle.
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "include" / "flexsms" / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO",
        # Processes of their own (workers, a standalone Airflow) sign with the same keys on every run.
        "AIRFLOW__CORE__FERNET_KEY": "ZmxleHNtcy10ZXN0cy1vbmx5LW5vdC1hLXNlY3JldCE=",
        "AIRFLOW__API_AUTH__JWT_SECRET": "flexsms-tests-only-not-a-secret-0123456789abcdef0123456789abcdef",
        # AWS' library looks for a login in the user's home and in the machine's role, too.
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        # Every sandbox of the run, whoever starts it, records for the contract check (tests/contract).
        "FLEXSMS_SANDBOX_RECORD": str(RECORDINGS),
    }
)
RECORDINGS.mkdir(exist_ok=True)
HOME.mkdir()
# A shell that starts the tests in the background makes them ignore Ctrl-C, and with them every process they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# No test fails because a machine is slow. The environments of tests/cluster and tests/install have no Hypothesis.
with contextlib.suppress(ImportError):
    from hypothesis import HealthCheck, settings

    settings.register_profile("flexsms", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("flexsms")

# The sandbox that most tests share. On a stack of its own, so that the contract check can end it before it reads.
_shared = contextlib.ExitStack()


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Generator[None, None, None]:
    """Mark what needs a runtime by where it is and what it asks for; put `last` at the end, and first what takes long.

    The workers come to their ends at the same time then.
    """

    @cache
    def folder_of(path: Path) -> str:
        return path.relative_to(ROOT / "tests").parts[0]

    for item in items:
        folder = folder_of(item.path)
        if folder == "dags" or "airflow_db" in getattr(item, "fixturenames", ()):
            item.add_marker("airflow")
        if folder in ("e2e", "cluster", "install"):
            item.add_marker(folder)
    yield
    items.sort(
        key=lambda item: (
            item.get_closest_marker("last") is not None,
            (*TAKES_LONG, folder_of(item.path)).index(folder_of(item.path)),
        )
    )


def pytest_collection_finish() -> None:
    """Six thousand tests and what they import live as long as the run: the garbage collector need not look at them."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    _shared.close()
    shutil.rmtree(HOME, ignore_errors=True)
    if WORKER:
        (RUN / f"{WORKER}.done").touch()
    else:
        shutil.rmtree(RUN, ignore_errors=True)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """`async def test_…` runs on asyncio, as flexsms does."""
    return "asyncio"


@pytest.fixture(scope="session")
def airflow_db() -> Path:
    """A migrated database in this worker's AIRFLOW_HOME. The first worker that needs one makes it for all."""
    home, made = HOME / "airflow", RUN / "migrated.db"
    home.mkdir(exist_ok=True)
    with (RUN / "migrated.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            migrated = subprocess.run(
                [sys.executable, "-m", "airflow", "db", "migrate"],
                capture_output=True,
                text=True,
                check=False,
            )
            assert migrated.returncode == 0, migrated.stdout[-4000:] + migrated.stderr[-4000:]
            shutil.copy(home / "airflow.db", made)
        else:
            shutil.copy(made, home / "airflow.db")
    return home


@pytest.fixture(scope="session")
def shared_sandbox() -> Iterator[SandboxProcess]:
    """One local Twilio for the run; use `sandbox`, which empties it first."""
    from flexsms.sandbox.client import SandboxProcess

    yield _shared.enter_context(SandboxProcess())
    _shared.close()


@pytest.fixture
def sandbox(shared_sandbox: SandboxProcess) -> SandboxProcess:
    """A local Twilio with an account and nothing in it."""
    shared_sandbox.control.reset()
    return shared_sandbox


@pytest.fixture
def connection_extra(sandbox: SandboxProcess) -> dict[str, Any]:
    """The extra of an Airflow connection to `sandbox`."""
    from flexsms.sandbox.client import connection_extra

    return connection_extra(sandbox.settings)


@pytest.fixture(scope="session")
def shared_kinesis() -> Iterator[KinesisServer]:
    """One Kinesis for the run; use `kinesis`, which empties it first."""
    from tests.support.kinesis_server import KinesisServer

    with KinesisServer() as server:
        yield server


@pytest.fixture
def kinesis(shared_kinesis: KinesisServer, monkeypatch: pytest.MonkeyPatch) -> KinesisServer:
    """A Kinesis without a stream, to which the Airflow connection `aws_default` leads."""
    shared_kinesis.reset()
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(shared_kinesis.connection()))
    return shared_kinesis


@pytest.fixture
def recordings() -> Path:
    """The folder of what every sandbox of this run has seen. Ends the shared one: for the last test only."""
    _shared.close()
    others = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")) - 1
    deadline = time.monotonic() + WAIT_FOR_WORKERS_S
    while len(list(RUN.glob("*.done"))) < others:
        assert time.monotonic() < deadline, "the other worker does not come to its end"
        time.sleep(0.2)
    return RECORDINGS
