"""PostgreSQL, Redis and nginx from Debian's packages, each an instance of its own on ports of its own."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from string import Template

import pytest

from flexsms.demo.local_airflow import HOST
from tests.cluster.processes import Process

PACKAGES = {"initdb": "postgresql", "redis-server": "redis-server", "nginx": "nginx"}
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
START_TIMEOUT_S = 60.0
DATABASE_USER = "postgres"  # PostgreSQL refuses to run as root; Debian's package makes this user


def programs() -> dict[str, str]:
    """The paths of the programs that are needed; root has their packages installed when they are missing."""
    missing = [package for program, package in PACKAGES.items() if _find(program) is None]
    if missing:
        wanted = " ".join(missing)
        if os.geteuid() or shutil.which("apt-get") is None:
            pytest.exit(
                f"The cluster needs PostgreSQL, Redis and nginx: install the packages {wanted}.", returncode=1
            )
        print(f"flexsms: installing Debian's {wanted}", flush=True)
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in ("update -qq", f"install -qq -y --no-install-recommends {wanted}"):
            subprocess.run(["apt-get", *command.split()], check=True, env=quiet, stdout=subprocess.DEVNULL)
    found = {name: _find(name) for name in ("initdb", "postgres", "pg_isready", "redis-server", "nginx")}
    assert all(found.values()), f"not found after their packages were installed: {found}"
    return {name: str(path) for name, path in found.items()}


def _find(program: str) -> str | None:
    """A program on the PATH, or the newest one of those that Debian keeps off it."""
    kept = Path("/usr/lib/postgresql").glob(f"*/bin/{program}")
    newest = max(kept, key=lambda path: float(path.parts[-3]), default=None)
    # Debian has nginx in a folder that is on the PATH of root only.
    return str(newest) if newest else shutil.which(program) or shutil.which(program, path="/usr/sbin")


class Services:
    """A database server, a broker and a reverse proxy, ended by ``stop``.

    :param scratch: where everything of theirs is kept
    :param logs: folder for their log files
    :param ports: of PostgreSQL and of Redis
    """

    def __init__(self, scratch: Path, logs: Path, ports: tuple[int, int]) -> None:
        self._programs = programs()
        self._scratch = scratch
        self._logs = logs
        self._ports = ports
        self._password = secrets.token_hex(16)
        self.processes: list[Process] = []
        self._data = scratch / "postgresql"
        user = f"airflow:{self._password}"
        self.database = f"postgresql+psycopg2://{user}@{HOST}:{ports[0]}/postgres"
        self.broker = f"redis://:{self._password}@{HOST}:{ports[1]}/0"

    def start(self) -> None:
        """Start the database and the broker, and wait for the database."""
        self._start_redis()
        self._start_postgres()

    def stop(self) -> None:
        """End all, and remove the database."""
        for process in self.processes:
            process.ask_to_end()
        for process in self.processes:
            process.wait()
        shutil.rmtree(self._data, ignore_errors=True)

    def start_nginx(self, template: str, values: Mapping[str, str]) -> None:
        """Start a reverse proxy.

        :param template: of a file for nginx's block ``http``, with ``${…}``
        :param values: what that leaves open; nginx's own ``$variables`` stay
        """
        folder = self._scratch / "nginx"
        folder.mkdir()
        (folder / "airflow.conf").write_text(Template(template).safe_substitute(values))
        own = "".join(f"    {kind}_temp_path {folder}/{kind};\n" for kind in TEMPORARY)
        user = "user root;\n" if os.geteuid() == 0 else ""  # nobody else may enter every folder above
        (folder / "nginx.conf").write_text(
            f"{user}daemon off;\npid {folder}/nginx.pid;\nerror_log stderr;\nevents {{}}\n"
            f"http {{\n{own}    access_log {self._logs}/nginx-access.log;\n    include {folder}/airflow.conf;\n}}\n"
        )
        options = ["-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"]
        self._run("nginx", [self._programs["nginx"], *options], folder)

    def assert_runs(self) -> None:
        """No service has ended by itself."""
        for process in self.processes:
            assert process.runs, f"{process.name} ended:\n{process.tail()}"

    def _start_redis(self) -> None:
        folder = self._scratch / "redis"
        folder.mkdir()
        options = folder / "redis.conf"
        options.touch(mode=0o600)
        options.write_text(
            f"bind {HOST}\nport {self._ports[1]}\nrequirepass {self._password}\nsave ''\ndir \"{folder}\"\n"
        )
        self._run("redis", [self._programs["redis-server"], str(options)], folder)

    def _start_postgres(self) -> None:
        as_user: list[str] = []
        if os.geteuid() == 0:
            as_user = ["runuser", "-u", DATABASE_USER, "--"]
            if subprocess.run([*as_user, "test", "-x", self._scratch], check=False).returncode:
                # The checkout is in a folder that only root may enter.
                self._data = Path(tempfile.mkdtemp(prefix="flexsms-cluster-"))
        self._data.mkdir(mode=0o700, exist_ok=True)
        password = self._data.with_suffix(".password")
        password.touch(mode=0o600)
        password.write_text(self._password)
        if as_user:
            owner = pwd.getpwnam(DATABASE_USER)
            for path in (self._data, password):
                os.chown(path, owner.pw_uid, owner.pw_gid)
        options = "--username airflow --auth scram-sha-256 --encoding UTF8 --locale C --no-sync"
        where = ["--pgdata", str(self._data), "--pwfile", str(password)]
        made = subprocess.run(
            [*as_user, self._programs["initdb"], *where, *options.split()],
            cwd=self._data,
            capture_output=True,
            text=True,
            check=False,
        )
        password.unlink()
        assert made.returncode == 0, made.stdout + made.stderr
        # Nothing is kept, so nothing has to reach the disk.
        settings = {
            "listen_addresses": HOST,
            "unix_socket_directories": "",
            "fsync": "off",
            "port": self._ports[0],
        }
        arguments = [f"--{name}={value}" for name, value in settings.items()]
        server = [*as_user, self._programs["postgres"], "-D", str(self._data), *arguments]
        process = self._run("postgresql", server, self._data)
        ready = [self._programs["pg_isready"], "-q", "-h", HOST, "-p", str(self._ports[0])]
        deadline = time.monotonic() + START_TIMEOUT_S
        while subprocess.run(ready, check=False).returncode:
            assert process.runs, f"PostgreSQL ended: {process.tail()}"
            assert time.monotonic() < deadline, f"PostgreSQL does not start: {process.tail()}"
            time.sleep(0.1)

    def _run(self, name: str, command: list[str], folder: Path) -> Process:
        process = Process(name, command, self._logs, os.environ, folder)
        self.processes.append(process)
        return process
