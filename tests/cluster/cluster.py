"""A distributed Airflow on this machine, by the files of docs/deployment, and a local Twilio.

CeleryExecutor, PostgreSQL, Redis, two workers, and two api-servers behind nginx with TLS and a path prefix. flexsms is
installed from its wheel.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest import mock

import httpx
import psutil  # type: ignore[import-untyped]

from flexsms.demo.airflow_api import FINISHED, AirflowApi, Json
from flexsms.demo.local_airflow import HOST, USER, free_ports, inherited
from flexsms.sandbox.client import SandboxControl, SandboxProcess, connection_extra
from tests.cluster import deployment
from tests.cluster.deployment import ROOT
from tests.cluster.processes import Process
from tests.cluster.services import Services
from tests.support.middle import Authority

__all__ = ["ROOT", "WORKERS", "Cluster", "end_of_logs", "remove"]

CONFIG = Path(__file__).with_name("config")
WORKERS = ("worker-1", "worker-2")
API_SERVERS = ("api-server-1", "api-server-2")
DAGS = {"flexsms_send", "flexsms_broadcast", "flexsms_track", "flexsms_cleanup", "flexsms_setup"}
PREFIX = "/airflow"
NAME = "localhost"  # of the certificate
CONNECTION_ID = "twilio_default"
START_TIMEOUT_S = 600.0
RUN_TIMEOUT_S = 300.0
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
        self._inbox = scratch / "inbox"
        names = ("postgresql", "redis", "public", "internal", *API_SERVERS)
        self.ports = dict(zip(names, free_ports(len(names)), strict=True))
        self._authority = Authority(scratch)
        self._certificate = self._authority.certificate(NAME)
        self._services = Services(scratch, self.logs, (self.ports["postgresql"], self.ports["redis"]))
        self._sandbox = SandboxProcess()
        self._password = secrets.token_hex(6)
        self._url = f"https://{NAME}:{self.ports['public']}{PREFIX}"
        self._environment = self._settings()
        self._processes: dict[str, Process] = {}
        self._accounts = 0
        self._started: set[psutil.Process] = set()
        self.api = AirflowApi(self._url, USER, self._password, str(self._authority.file))
        self._each_api = [AirflowApi(self._direct(name), USER, self._password) for name in API_SERVERS]

    @property
    def twilio(self) -> SandboxControl:
        """The control plane of the local Twilio."""
        return self._sandbox.control

    @property
    def events_url(self) -> str:
        """What Twilio posts to."""
        return f"{self._url}/flexsms/events"

    def start(self) -> None:
        """Start all of it, and wait until it is ready."""
        with mock.patch.dict(os.environ, SSL_CERT_FILE=str(self._authority.file)):
            self._sandbox.start()
        self._services.start()
        self._services.start_nginx((deployment.FOLDER / "nginx.conf.template").read_text(), self._for_nginx())
        self._airflow("db", "migrate")
        for name in API_SERVERS:
            self._run(name, deployment.command("api-server"), AIRFLOW__API__PORT=str(self.ports[name]))
        # Before the triggerer starts: without a connection, the inbox is looked into only a minute later.
        settings = {**self._sandbox.settings, "base_url": self._sandbox.base_url}
        connection = self._connection(settings, "conversations")
        stored = json.dumps({**connection, "extra": json.loads(connection["extra"])})
        self._airflow("connections", "add", CONNECTION_ID, "--conn-json", stored)
        self._run("scheduler", [*deployment.command("scheduler"), "--skip-serve-logs"])
        self.start_triggerer()
        self._run("dag-processor", deployment.command("dag-processor"))
        self._start_workers()
        for api in self._each_api:
            self.wait_for("Airflow to start", lambda api=api: not api.missing(), START_TIMEOUT_S)  # type: ignore[misc]
        self.api.log_in()
        pool = self._environment["AIRFLOW__FLEXSMS__SEND_POOL"]
        self.api.call("POST", "pools", {"name": pool, "slots": 4, "include_deferred": False})
        self.wait_for("the DAGs", lambda: self.api.dag_ids() >= DAGS, START_TIMEOUT_S)
        assert self.api.import_errors() == []
        for dag_id in DAGS:
            self.api.call("PATCH", f"dags/{dag_id}", {"is_paused": False})

    def both_workers(self) -> None:
        """Start the worker that was killed, if one was, and wait until both are ready."""
        self._start_workers()
        ready = [self.worker(name) for name in WORKERS]
        self.wait_for("the workers", lambda: all(" ready." in one.printed() for one in ready))

    def worker(self, name: str) -> Process:
        """The process of a worker, which may be frozen."""
        return self._processes[name]

    def start_triggerer(self) -> None:
        """Start the triggerer, or another one in the place of one that was killed."""
        self._run("triggerer", [*deployment.command("triggerer"), "--skip-serve-logs"])

    def kill(self, name: str) -> None:
        """SIGKILL a worker or the triggerer, and everything below it."""
        self._processes.pop(name).kill()

    def flexsms(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The command line of flexsms, on a machine of the cluster."""
        return subprocess.run(
            [Path(sys.executable).with_name("flexsms"), *arguments],
            env={**self._environment, "SSL_CERT_FILE": str(self._authority.file)},
            cwd=self._home,
            capture_output=True,
            text=True,
            check=False,
        )

    def knock(self) -> set[int]:
        """What each api-server answers to a post that Twilio has not signed."""
        doors = [f"{self._direct(name)}/flexsms/events" for name in API_SERVERS]
        return {httpx.post(door, json=[], trust_env=False, timeout=30).status_code for door in doors}

    def ask(self, path: str) -> int:
        """What nginx answers to the outside world.

        :param path: below the prefix
        """
        context = ssl.create_default_context(cafile=str(self._authority.file))
        return httpx.get(f"{self._url}{path}", verify=context, trust_env=False, timeout=30).status_code

    def alive(self) -> set[psutil.Process]:
        """Every process of the cluster: those below ours, and whatever else works in its folder."""
        for process in (*self._processes.values(), *self._services.processes):
            self._started |= process.members()
        if self._sandbox.pid:
            self._started.add(psutil.Process(self._sandbox.pid))
        return {one for one in self._started if _lives(one)} | _at_work_in(self._home.parent)

    def listening(self) -> set[str]:
        """Whose port takes connections."""
        return {name for name, port in self.ports.items() if _listens(port)}

    def stop(self) -> None:
        """End every process, and the services last. A second time, there is nothing left to do."""
        self.api.close()
        for api in self._each_api:
            api.close()
        for process in self._processes.values():
            process.ask_to_end()
        for process in self._processes.values():
            process.wait()
        self._services.stop()
        self._sandbox.stop()

    def connect(self, stack: str, *left_out: str) -> Json:
        """Empty the Twilio account and connect ``twilio_default`` to it; returns the sandbox's settings.

        :param stack: where texts go
        :param left_out: fields of the connection that are not known yet
        """
        self.both_workers()
        # Airflow keeps cursors by workspace: another account has other SIDs.
        self._accounts += 1
        settings = self.twilio.reset(random_seed=self._accounts)
        connection = {"connection_id": CONNECTION_ID, **self._connection(settings, stack, *left_out)}
        self.api.call("PATCH", f"connections/{CONNECTION_ID}", connection)
        return settings

    def _connection(self, settings: Json, stack: str, *left_out: str) -> Json:
        extra = {
            **connection_extra(settings, stack=stack),
            **CONNECTION,
            "inbox_path": f"file://{self._inbox}",
        }
        return {
            "conn_type": "twilio",
            "login": settings["account_sid"],
            "password": settings["auth_token"],
            "extra": json.dumps({name: value for name, value in extra.items() if name not in left_out}),
        }

    def finish(self, dag_id: str, run_id: str) -> Json:
        """Wait until a run ends, and see that it is green; returns what its last task tells."""
        self.wait_for(
            f"{run_id} to end", lambda: self.api.run_state(dag_id, run_id) in FINISHED, RUN_TIMEOUT_S
        )
        state = self.api.run_state(dag_id, run_id)
        assert state == "success", "\n\n".join(self.api.complaints(dag_id, run_id))
        last = dag_id.removeprefix("flexsms_") if dag_id in ("flexsms_send", "flexsms_track") else "report"
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
            self._services.assert_runs()
            assert time.monotonic() < deadline, f"waited {timeout_s:g} s for {what}"
            time.sleep(ASK_EVERY_S)

    def _start_workers(self) -> None:
        for name in WORKERS:
            if name not in self._processes:
                mine = ["--skip-serve-logs", "--celery-hostname", name]
                self._run(name, [*deployment.command("worker"), *mine])

    def _run(self, name: str, command: list[str], **more: str) -> None:
        environment = {**self._environment, "FLEXSMS_CLUSTER_HOST": name, **more}
        self._processes[name] = Process(
            name, [sys.executable, "-m", "airflow", *command], self.logs, environment, self._home
        )

    def _airflow(self, *command: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "airflow", *command],
            env=self._environment,
            cwd=self._home,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]

    def _direct(self, name: str) -> str:
        return f"http://{HOST}:{self.ports[name]}{PREFIX}"

    def _for_nginx(self) -> dict[str, str]:
        first, second = (f"{HOST}:{self.ports[name]}" for name in API_SERVERS)
        return {
            "API_SERVER_1": first,
            "API_SERVER_2": second,
            "PUBLIC_LISTEN": f"{HOST}:{self.ports['public']}",
            "PUBLIC_NAME": NAME,
            "INTERNAL_LISTEN": f"{HOST}:{self.ports['internal']}",
            "CERTIFICATE": str(self._certificate),
            "CERTIFICATE_KEY": str(self._certificate),
        }

    def _settings(self) -> dict[str, str]:
        passwords = self._home / "passwords.json"
        passwords.touch(mode=0o600)
        passwords.write_text(json.dumps({USER: self._password}))
        internal = f"http://{HOST}:{self.ports['internal']}{PREFIX}"
        site = {
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": self._services.database,
            "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{self._services.database}",
            "AIRFLOW__CELERY__BROKER_URL": self._services.broker,
            "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "AIRFLOW__API__SECRET_KEY": secrets.token_hex(32),
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
            "AIRFLOW__API__BASE_URL": self._url,
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{internal}/execution/",
            "FORWARDED_ALLOW_IPS": HOST,
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        }
        assert set(site) == set(deployment.variables("site.env.example"))
        of_this_machine = {
            "AIRFLOW_HOME": str(self._home),
            "AIRFLOW__API__HOST": HOST,
            "AIRFLOW__CORE__HOSTNAME_CALLABLE": "airflow_local_settings.hostname",
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(self.logs / "tasks"),
            "AIRFLOW__LOGGING__COLORED_CONSOLE_LOG": "False",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": str(HEARTBEAT_TIMEOUT_S),
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
            # One task at a time, so that a frozen worker takes no second one from the queue.
            "AIRFLOW__CELERY__WORKER_CONCURRENCY": "1",
            "FLEXSMS_CLUSTER_HOST": "set-up",
            "NO_COLOR": "1",
            "PYTHONPATH": str(CONFIG),
        }
        return {**inherited(os.environ), **deployment.variables("airflow.env"), **site, **of_this_machine}


def _lives(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


def _at_work_in(folder: Path) -> set[psutil.Process]:
    found = set()
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if Path(process.cwd()).is_relative_to(folder):
                found.add(process)
    return found


def _listens(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex((HOST, port)) == 0


def end_of_logs(logs: Path) -> str:
    """The end of every log file of a cluster."""
    return "\n\n".join(
        f"--- {path.name}\n" + "\n".join(path.read_text(errors="replace").splitlines()[-15:])
        for path in sorted(logs.glob("*.log"))
    )


def remove(scratch: Path) -> None:
    """Remove a cluster's folder."""
    shutil.rmtree(scratch, ignore_errors=True)
