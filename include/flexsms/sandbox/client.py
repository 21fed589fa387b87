"""Start a sandbox and talk to its control plane: for tests, the demo and the benchmark."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from threading import Timer
from time import monotonic, sleep
from types import TracebackType
from typing import Any

import requests

Json = dict[str, Any]

NO_ATTEMPTS = 2**53  # the counts alone: there are none after that many


def connection_extra(settings: Json, base_url: str = "", stack: str = "chat") -> Json:
    """The `extra` fields of a flexsms connection to this sandbox; login and password are the account's own.

    Parameters
    ----------
    stack: `chat` or `conversations`. The account has both, and the fields of both are given: one that is in
        migration needs `session_service_sid` still, and `studio_flow_sid` already.
    """
    names = ("account_sid", "sync_service_sid", "workspace_sid", "chat_service_sid", "session_service_sid")
    more = ("workflow_sid", "queue_sid", *(("studio_flow_sid",) if stack == "conversations" else ()))
    extra = {name: settings[name] for name in (*names, *more)}
    return {"stack": stack, **extra, "base_url": base_url or settings.get("base_url", "")}


class ControlError(RuntimeError):
    """The control plane refused; the sentence says why."""


class SandboxControl:
    """The control plane of a running sandbox.

    Parameters
    ----------
    base_url: as the sandbox printed it, `http://127.0.0.1:PORT`.
    timeout_s: seconds per call; seeding a large crowd takes a while.
    """

    def __init__(self, base_url: str, timeout_s: float = 120.0) -> None:
        self.base_url = base_url.rstrip("/")
        self._timeout_s = timeout_s
        self._http = requests.Session()
        # A proxy of the environment has no business between two processes of one machine.
        self._http.trust_env = False

    def call(self, method: str, path: str, body: Json | None = None) -> Any:
        """Any control request; ControlError for a refusal."""
        url = f"{self.base_url}/_sandbox/{path}"
        answer = self._http.request(method, url, json=body, timeout=self._timeout_s)
        if answer.status_code != 200:
            raise ControlError(answer.json().get("error", answer.text))
        return answer.json()

    def health(self) -> Json:
        return self._object("GET", "health")

    def reset(self, **body: Any) -> Json:
        """A new account: `seed`, `random_seed` and any setting. Returns the settings."""
        return {**self._object("POST", "reset", body), "base_url": self.base_url}

    def settings(self, **changes: Any) -> Json:
        """The settings, after `changes` if there are any."""
        found = self._object("POST", "settings", changes) if changes else self._object("GET", "settings")
        return {**found, "base_url": self.base_url}

    def switches(self) -> list[Json]:
        """All settings that can be changed: name, value, default, values, doc, source."""
        return self._list("switches", "switches")

    def contested(self) -> list[Json]:
        """The conversations in which an agent's task and a Studio flow both answer the customer."""
        return self._list("contested", "conversations")

    def clock(self) -> Json:
        return self._object("GET", "clock")

    def run_clock(self, runs: bool = True) -> Json:
        """Whether it goes with the wall clock, as at first, or stands still and only `advance` moves it."""
        return self._object("POST", "clock", {"runs": runs})

    def advance(self, seconds: float) -> Json:
        return self._object("POST", "clock", {"advance_s": seconds})

    def fault(self, **rule: Any) -> Json:
        """Add a fault rule, with the fields of `faults.Rule`; `match` has method, host, path and form.

        What it does is `action`: status, answer, mangle, delay, drop_before, drop_midway, drop_after or none.
        """
        return self._object("POST", "faults", rule)

    def faults(self) -> list[Json]:
        """The rules, each with how often it was seen and hit."""
        return self._list("faults", "faults")

    def clear_faults(self) -> None:
        self.call("DELETE", "faults")

    def customer(self, frm: str, to: str, body: str) -> Json:
        """The customer's number, the Twilio number, the text."""
        return self._object("POST", "customer", {"from": frm, "to": to, "body": body})

    def agent(self, action: str, **more: Any) -> Json:
        """accept, decline, wrap, complete, park, cancel, delete, write of task_sid or channel_sid, body, worker_sid."""
        return self._object("POST", "agent", {"action": action, **more})

    def perform(self, *actions: Json) -> list[Any]:
        """Several actions at once, as in the before and after of a fault rule."""
        found: list[Any] = self._object("POST", "perform", {"actions": list(actions)})["results"]
        return found

    def journal(self, after: int = 0) -> list[Json]:
        return self._list(f"journal?after={after}", "entries")

    def clear_journal(self) -> None:
        self.call("DELETE", "journal")

    def journal_enabled(self, enabled: bool) -> None:
        self.call("PUT", "journal", {"enabled": enabled})

    def outbox(self) -> list[Json]:
        """Every text that left for a handset, with the history of its status."""
        return self._list("outbox", "messages")

    def deliveries(self, after: int = 0) -> Json:
        """Of Event Streams: how many events are where, and `attempts`, each a request with what became of it."""
        return self._object("GET", f"deliveries?after={after}")

    def delivered(self, timeout_s: float = 30.0) -> Json:
        """The counts, as soon as no event is on its way any more; ControlError if that takes too long.

        What waits for a later moment of the virtual clock waits here as well: `advance` first.
        """
        until = monotonic() + timeout_s
        while True:
            found = self.deliveries(after=NO_ATTEMPTS)
            if not found["waiting"] and not found["under_way"]:
                return found
            if monotonic() > until:
                raise ControlError(f"{found['waiting'] + found['under_way']} events are still on their way")
            sleep(0.02)

    def seed(self, **body: Any) -> Json:
        """channels, due, days, story, documents, stack: see seed.crowd_and_story."""
        return self._object("POST", "seed", body)

    def load(self, **body: Any) -> Json:
        """documents, channels, sessions, conversations in bulk: see bulk.load."""
        return self._object("POST", "load", body)

    def tasks(self, channel_sids: list[str], status: str = "assigned", age_s: float = 0) -> Json:
        """Open tasks in bulk, made so many seconds ago."""
        return self._object("POST", "tasks", {"channel_sids": channel_sids, "status": status, "age_s": age_s})

    def events(self, **body: Any) -> Json:
        """channels, events, hours and stack, or channel_sids, or raw: see bulk.events."""
        return self._object("POST", "events", body)

    def story(self) -> Json:
        return self._object("GET", "story")

    def state(self) -> Json:
        return self._object("GET", "state")

    def restore(self, state: Json) -> Json:
        return {**self._object("PUT", "state", state), "base_url": self.base_url}

    def close(self) -> None:
        self._http.close()

    def _object(self, method: str, path: str, body: Json | None = None) -> Json:
        found: Json = self.call(method, path, body)
        return found

    def _list(self, path: str, key: str) -> list[Json]:
        found: list[Json] = self.call("GET", path)[key]
        return found


class SandboxProcess:
    """A sandbox in a process of its own, as a context manager.

    Parameters
    ----------
    seed: empty, story, a number, or `story,200`; of the other stack with `:conversations` behind each.
    rate_limits: documented or off.
    latency_ms: added to every answer.
    port: 0 for a free one.
    record: directory for the recording, None for FLEXSMS_SANDBOX_RECORD of the environment.
    random_seed: SIDs and history follow from it.
    switches: settings other than the default ones.
    start_timeout_s: seconds until the ready line has to be there.
    """

    def __init__(
        self,
        seed: str | int = "empty",
        rate_limits: str = "off",
        latency_ms: float = 0.0,
        port: int = 0,
        record: str | None = None,
        random_seed: int = 1,
        switches: Json | None = None,
        start_timeout_s: float = 60.0,
    ) -> None:
        options = {
            "seed": seed,
            "rate-limits": rate_limits,
            "latency-ms": latency_ms,
            "port": port,
            "random-seed": random_seed,
            "record": record,
        }
        self._command = [sys.executable, "-m", "flexsms.sandbox"]
        for name, value in options.items():
            if value is not None:
                self._command += [f"--{name}", str(value)]
        for name, value in (switches or {}).items():
            self._command += ["--set", f"{name}={json.dumps(value)}"]
        self._start_timeout_s = start_timeout_s
        self._process: subprocess.Popen[str] | None = None
        self.base_url = ""
        self.settings: Json = {}
        self._control: SandboxControl | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self) -> SandboxProcess:
        """Start and wait for the ready line; RuntimeError with what it said on stderr when there is none."""
        with tempfile.TemporaryFile(mode="w+") as stderr:
            self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, stderr=stderr, text=True)
            line = _first_line(self._process, self._start_timeout_s)
            if not line:
                self.stop()
                stderr.seek(0)
                raise RuntimeError(f"the sandbox did not start: {stderr.read().strip()[-2000:]}")
        ready = json.loads(line)
        self.base_url = ready["base_url"]
        self.settings = {**ready["settings"], "base_url": self.base_url}
        self._control = SandboxControl(self.base_url)
        return self

    @property
    def control(self) -> SandboxControl:
        if self._control is None:
            raise RuntimeError("the sandbox is not running")
        return self._control

    def stop(self) -> None:
        """End the process: SIGTERM, and SIGKILL when it does not listen."""
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()
        self._process = None

    def __enter__(self) -> SandboxProcess:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _first_line(process: subprocess.Popen[str], timeout_s: float) -> str:
    """The ready line, or nothing when the process ended or took too long."""
    killer = Timer(timeout_s, process.kill)
    killer.start()
    try:
        return process.stdout.readline() if process.stdout else ""
    finally:
        killer.cancel()
