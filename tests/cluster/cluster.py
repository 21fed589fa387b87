"""A distributed Airflow on this machine: CeleryExecutor, PostgreSQL, Redis, two workers, and a local Twilio."""

from __future__ import annotations

import base64
import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flexsms.demo.api import FINISHED, AirflowApi, Json
from flexsms.demo.local_airflow import HOST, USER, free_ports, inherited
from flexsms.sandbox.client import SandboxControl, SandboxProcess, connection_extra
from tests.cluster.processes import Process
from tests.cluster.services import Services

ROOT = Path(__file__).resolve().parents[2]
CONFIG = Path(__file__).with_name("config")
WORKERS = ("worker-1", "worker-2")
DAGS = {"flexsms_send", "flexsms_track", "flexsms_cleanup"}
START_TIMEOUT_S = 300.0
RUN_TIMEOUT_S = 150.0
ASK_EVERY_S = 0.3
# Seconds without a heartbeat after which the scheduler takes a task for dead. A busy machine needs some.
HEARTBEAT_TIMEOUT_S = 20
# Few at a time, so that a batch lasts long enough to land in it; answers of a frozen worker are not waited for.
CONNECTION = {"max_in_flight": 4, "timeout_s": 5, "rate_limits": "off"}


class Cluster:
    """Everything in one folder and on ports of its own; ``stop`` leaves no process behind.

    :param scratch: an empty folder, for logs, databases and Airflow's home
    """

    def __init__(self, scratch: Path) -> None:
        self.logs = scratch / "logs"
        self.logs.mkdir()
        self._home = scratch / "airflow"
        self._home.mkdir()
        port, *service_ports = free_ports(3)
        self._services = Services(scratch, self.logs, (service_ports[0], service_ports[1]))
        self._sandbox = SandboxProcess()
        self._password = secrets.token_hex(6)
        self._environment = self._settings(port)
        self._processes: dict[str, Process] = {}
        self._accounts = 0
        self.api = AirflowApi(f"http://{HOST}:{port}", USER, self._password)

    @property
    def twilio(self) -> SandboxControl:
        """The control plane of the local Twilio."""
        return self._sandbox.control

    def start(self) -> None:
        """Start all of it, and wait until it is ready."""
        self._sandbox.start()
        self._services.start()
        migrated = subprocess.run(
            [sys.executable, "-m", "airflow", "db", "migrate"],
            env=self._environment,
            cwd=self._home,
            capture_output=True,
            text=True,
            check=False,
        )
        assert migrated.returncode == 0, migrated.stdout[-3000:] + migrated.stderr[-3000:]
        self._run("api-server", "--workers", "1")
        for component in ("scheduler", "triggerer"):
            self._run(component, "--skip-serve-logs")
        self._run("dag-processor")
        self._start_workers()
        self.wait_for("Airflow to start", lambda: not self.api.missing(), START_TIMEOUT_S)
        self.api.log_in()
        self.wait_for("the DAGs", lambda: self.api.dag_ids() >= DAGS, START_TIMEOUT_S)
        assert self.api.import_errors() == []

    def both_workers(self) -> None:
        """Start the worker that was killed, if one was, and wait until both are ready."""
        self._start_workers()
        ready = [self.worker(name) for name in WORKERS]
        self.wait_for("the workers", lambda: all(" ready." in one.printed() for one in ready))

    def worker(self, name: str) -> Process:
        """The process of a worker, which may be frozen."""
        return self._processes[name]

    def kill_worker(self, name: str) -> None:
        """SIGKILL a worker and everything below it."""
        self._processes.pop(name).kill()

    def stop(self) -> None:
        """End every process, and the services last."""
        self.api.close()
        for process in self._processes.values():
            process.ask_to_end()
        for process in self._processes.values():
            process.wait()
        self._services.stop()
        self._sandbox.stop()

    def connect(self, stack: str) -> Json:
        """Empty the Twilio account and connect ``twilio_default`` to it; returns the sandbox's settings.

        :param stack: where texts go
        """
        self.both_workers()
        # Airflow keeps cursors by workspace: another account has other SIDs.
        self._accounts += 1
        settings = self.twilio.reset(random_seed=self._accounts)
        extra = {**connection_extra(settings, stack=stack), **CONNECTION}
        connection = {
            "connection_id": "twilio_default",
            "conn_type": "twilio",
            "login": settings["account_sid"],
            "password": settings["auth_token"],
            "extra": json.dumps(extra),
        }
        known = self.api.call("GET", "connections")["connections"]
        if any(one["connection_id"] == "twilio_default" for one in known):
            self.api.call("PATCH", "connections/twilio_default", connection)
        else:
            self.api.call("POST", "connections", connection)
        return settings

    def finish(self, dag_id: str, run_id: str) -> Json:
        """Wait until a run ends, and see that it is green; returns what its last task tells."""
        self.wait_for(
            f"{run_id} to end", lambda: self.api.run_state(dag_id, run_id) in FINISHED, RUN_TIMEOUT_S
        )
        state = self.api.run_state(dag_id, run_id)
        assert state == "success", "\n\n".join(self.api.complaints(dag_id, run_id))
        last = {"flexsms_cleanup": "report", "flexsms_send": "send", "flexsms_track": "track"}[dag_id]
        told: Json = self.api.returned(dag_id, run_id, last)
        return told

    def task(self, dag_id: str, run_id: str, task_id: str) -> Json:
        """A task instance of a run: the only one of that task that has started, else empty."""
        found = [
            one for one in self.api.tasks(dag_id, run_id) if one["task_id"] == task_id and one["hostname"]
        ]
        return found[0] if found else {}

    def wait_for(self, what: str, there: Callable[[], Any], timeout_s: float = RUN_TIMEOUT_S) -> None:
        """Wait until something is there.

        :raises AssertionError: when it takes too long, or a process has ended by itself
        """
        deadline = time.monotonic() + timeout_s
        while not there():
            ended = [process for process in self._processes.values() if not process.runs]
            assert not ended, f"{ended[0].name} ended:\n{ended[0].tail()}"
            assert time.monotonic() < deadline, f"waited {timeout_s:g} s for {what}"
            time.sleep(ASK_EVERY_S)

    def _start_workers(self) -> None:
        # One task at a time, so that a frozen worker takes no second one from the queue.
        command = ("celery", "worker", "--concurrency", "1", "--skip-serve-logs", "--celery-hostname")
        for name in WORKERS:
            if name not in self._processes:
                self._run(*command, name, name=name)

    def _run(self, *command: str, name: str = "") -> None:
        name = name or command[0]
        environment = {**self._environment, "FLEXSMS_CLUSTER_HOST": name}
        self._processes[name] = Process(
            name, [sys.executable, "-m", "airflow", *command], self.logs, environment, self._home
        )

    def _settings(self, port: int) -> dict[str, str]:
        passwords = self._home / "passwords.json"
        passwords.touch(mode=0o600)
        passwords.write_text(json.dumps({USER: self._password}))
        wanted: dict[str, dict[str, object]] = {
            "core": {
                "executor": "CeleryExecutor",
                "dags_folder": ROOT / "dags",
                "plugins_folder": ROOT / "plugins",
                "load_examples": False,
                "dags_are_paused_at_creation": False,
                "simple_auth_manager_users": f"{USER}:admin",
                "simple_auth_manager_passwords_file": passwords,
                "fernet_key": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
                "hostname_callable": "airflow_local_settings.hostname",
                "execution_api_server_url": f"http://{HOST}:{port}/execution/",
            },
            "database": {"sql_alchemy_conn": self._services.database},
            "celery": {
                "broker_url": self._services.broker,
                "result_backend": f"db+{self._services.database}",
            },
            "api": {
                "host": HOST,
                "port": port,
                "base_url": f"http://{HOST}:{port}",
                "secret_key": secrets.token_hex(16),
            },
            "api_auth": {"jwt_secret": secrets.token_hex(32)},
            "scheduler": {
                "task_instance_heartbeat_timeout": HEARTBEAT_TIMEOUT_S,
                "task_instance_heartbeat_timeout_detection_interval": 2,
            },
            "workers": {"min_heartbeat_interval": 1},
            "logging": {"base_log_folder": self.logs / "tasks", "colored_console_log": False},
        }
        variables = {
            f"AIRFLOW__{section.upper()}__{name.upper()}": str(value)
            for section, options in wanted.items()
            for name, value in options.items()
        }
        return {
            **inherited(os.environ),
            **variables,
            "AIRFLOW_HOME": str(self._home),
            "FLEXSMS_CLUSTER_HOST": "set-up",
            "NO_COLOR": "1",
            "PYTHONPATH": os.pathsep.join([str(CONFIG), str(ROOT / "include")]),
        }


def end_of_logs(logs: Path) -> str:
    """The end of every log file of a cluster."""
    return "\n\n".join(
        f"--- {path.name}\n" + "\n".join(path.read_text(errors="replace").splitlines()[-15:])
        for path in sorted(logs.glob("*.log"))
    )


def remove(scratch: Path) -> None:
    """Remove a cluster's folder."""
    shutil.rmtree(scratch, ignore_errors=True)
