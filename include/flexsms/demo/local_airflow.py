"""One `airflow standalone` on free ports, in a home of its own, owned to the last process."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Set
from pathlib import Path
from types import TracebackType
from typing import TextIO

from flexsms.demo.airflow_api import AirflowApi, Json
from flexsms.demo.process_supervisor import PATIENCE_S

HOST = "127.0.0.1"
# Airflow imports it from the folder `config` of its home.
LOCAL_SETTINGS = "from flexsms.demo.cluster_policy import dag_policy\n"
USER = "admin"
BUNDLE = {"name": "flexsms", "classpath": "flexsms.bundle.FlexSmsDagBundle", "kwargs": {}}
START_TIMEOUT_S = 240.0
ASK_EVERY_S = 0.5
LOG_LINES = 30


class DemoFailed(RuntimeError):
    """The demo cannot go on; the text says why and what to do."""


class LocalAirflow:
    """A context manager: Airflow runs inside, and no process of it outside.

    :param home: AIRFLOW_HOME of this Airflow. It is wiped at the start, so that no state of an earlier demo remains
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self.password = secrets.token_hex(6)
        self.log = home / "standalone.log"
        [port] = free_ports(1)
        self.url = f"http://{HOST}:{port}"
        self.api = AirflowApi(self.url, USER, self.password)
        # What it knows from its start, by connection ID: `conn_type`, `login`, `password` and `extra`, an object.
        self.connections: dict[str, Json] = {}
        self._environment = {
            **inherited(os.environ),
            **settings(home, port),
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: TextIO | None = None

    def __enter__(self) -> LocalAirflow:
        self._own_home()
        self._write_secret("passwords.json", {USER: self.password})
        # Without a port, the button "Test Connection" of Airflow 3.3.2's list asks for port 0 and is refused.
        connections = {
            conn_id: {**one, "extra": json.dumps(one["extra"]), "port": 0}
            for conn_id, one in self.connections.items()
        }
        stored = self._write_secret("connections.json", connections)
        (self.home / "config").mkdir()
        (self.home / "config" / "airflow_local_settings.py").write_text(LOCAL_SETTINGS)
        supervisor = [sys.executable, "-m", "flexsms.demo.process_supervisor"]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 (our own interpreter)
                [*supervisor, sys.executable, "-m", "flexsms.demo.airflow_standalone", str(stored)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
                cwd=self.home,
                start_new_session=True,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.api.close()
        if self._process and self._process.stdin:
            # The end of its input is the supervisor's sign to end everything.
            self._process.stdin.close()
            try:
                self._process.wait(PATIENCE_S + 10)
            except subprocess.TimeoutExpired:
                self._process.terminate()
                self._process.wait()
        if self._lock:
            self._lock.close()

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def wait_until_ready(self, dag_ids: Set[str], tell: Callable[[str], None]) -> None:
        """Wait for every part of Airflow and for these DAGs.

        :param tell: called with what is being waited for, whenever that changes
        :raises DemoFailed: with the end of Airflow's log
        """
        self._wait("to start", self.api.missing, tell)
        self.api.log_in()
        self._wait("to read the DAGs", lambda: self._unread(dag_ids), tell)

    def run_module(self, name: str, *arguments: str) -> None:
        """Run a module of Python within this Airflow's environment, with its database.

        :raises DemoFailed: with the end of what it printed
        """
        done = subprocess.run(  # noqa: S603 (our own interpreter)
            [sys.executable, "-m", name, *arguments],
            env=self._environment,
            cwd=self.home,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise DemoFailed(f"{name} failed.\n\n{(done.stdout + done.stderr)[-2000:]}")

    def tail(self, lines: int = LOG_LINES) -> str:
        """The end of what Airflow printed."""
        with contextlib.suppress(OSError):
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        return ""

    def _wait(self, what: str, missing: Callable[[], list[str]], tell: Callable[[str], None]) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        told: list[str] = []
        while still := missing():
            if still != told:
                tell("waiting for " + ", ".join(still))
                told = still
            if not self.is_running:
                raise DemoFailed(
                    f"Airflow ended before it was ready. The end of {self.log}:\n\n{self.tail()}"
                )
            if time.monotonic() > deadline:
                raise DemoFailed(
                    f"Airflow took more than {START_TIMEOUT_S:.0f} s {what}; still missing: {', '.join(still)}. "
                    f"The end of {self.log}:\n\n{self.tail()}"
                )
            time.sleep(ASK_EVERY_S)

    def _unread(self, dag_ids: Set[str]) -> list[str]:
        if errors := self.api.import_errors():
            raise DemoFailed("Airflow cannot import a DAG:\n\n" + "\n\n".join(errors))
        return sorted(dag_ids - self.api.dag_ids())

    def _write_secret(self, name: str, content: Json) -> Path:
        """Write a file of the home that nobody else may read."""
        path = self.home / name
        path.touch(mode=0o600)
        path.write_text(json.dumps(content))
        return path

    def _own_home(self) -> None:
        self.home.parent.mkdir(parents=True, exist_ok=True)
        self._lock = self.home.with_suffix(".lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            raise DemoFailed(
                f"Another demo is running in {self.home}. End it, or set AIRFLOW_HOME to another folder."
            ) from None
        shutil.rmtree(self.home, ignore_errors=True)
        self.home.mkdir(0o700)  # database and logs in it are readable by all


def inherited(environment: Mapping[str, str]) -> dict[str, str]:
    """What Airflow may see of the user's environment: nothing that could lead it to another Airflow or Twilio."""
    kept = {
        name: value
        for name, value in environment.items()
        if not name.startswith(("AIRFLOW_", "_AIRFLOW", "TWILIO_"))
    }
    for name in ("NO_PROXY", "no_proxy"):
        kept[name] = ",".join(filter(None, [kept.get(name), HOST, "localhost"]))
    # `airflow standalone` starts its parts as `airflow …`; they have to be this environment's.
    kept["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", os.defpath)])
    return kept


def settings(home: Path, port: int) -> dict[str, str]:
    """The configuration of this Airflow, every secret of it made for one run.

    :param port: of the api-server; nothing else of it listens
    """
    wanted: dict[str, dict[str, object]] = {
        "core": {
            "load_examples": False,
            "executor": "LocalExecutor",
            "parallelism": 4,
            "dags_are_paused_at_creation": False,
            # So that the button below the connection's form works.
            "test_connection": "Enabled",
            "simple_auth_manager_users": f"{USER}:admin",
            "simple_auth_manager_passwords_file": home / "passwords.json",
            "fernet_key": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            # Looking up the full name can take seconds where there is no name server.
            "hostname_callable": "socket.gethostname",
        },
        "dag_processor": {"dag_bundle_config_list": json.dumps([BUNDLE])},
        "api": {
            "host": HOST,
            "port": port,
            "base_url": f"http://{HOST}:{port}",
            "secret_key": secrets.token_hex(16),
        },
        "api_auth": {"jwt_secret": secrets.token_hex(32)},
        # The end of a task is at times noticed only at its next heartbeat, by default up to 5 s later.
        "workers": {"min_heartbeat_interval": 1},
        "logging": {"colored_console_log": False},
    }
    variables = {
        f"AIRFLOW__{section.upper()}__{name.upper()}": str(value)
        for section, options in wanted.items()
        for name, value in options.items()
    }
    return {"AIRFLOW_HOME": str(home), "NO_COLOR": "1", **variables}


def free_ports(count: int) -> list[int]:
    """Ports on which nobody listens. All are held until all are found, so that none comes twice."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((HOST, 0))
        return [one.getsockname()[1] for one in sockets]
