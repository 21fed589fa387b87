"""The process: its ready line, its recording, its end. And that it is fast, and as fast with a full table."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests  # noqa: TID251 (what the SDK would never send)

from flexsms.sandbox.client import SandboxControl, SandboxProcess
from tests.sandbox.conftest import Account


def gone(pid: int, within_s: float = 5.0) -> bool:
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_is_and_ends_when_told(number: signal.Signals) -> None:
    command = [sys.executable, "-m", "flexsms.sandbox", "--seed", "story", "--latency-ms", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        assert ready["pid"] == process.pid
        assert ready["settings"]["latency_ms"] == 1
        assert set(SandboxControl(ready["base_url"]).story()) == {"ada", "ben", "cleo"}
        process.send_signal(number)
        assert process.wait(5) == 0
        assert process.stdout.read() == ""


def test_it_ends_with_its_parent() -> None:
    script = (
        "import os, sys; from flexsms.sandbox.client import SandboxProcess;"
        "sandbox = SandboxProcess().start(); print(sandbox.pid, flush=True); os._exit(0)"
    )
    out = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert gone(int(out.stdout))


def test_what_went_wrong_at_the_start_is_said() -> None:
    with pytest.raises(RuntimeError, match="unknown seed novel"), SandboxProcess(seed="novel"):
        pass


def test_the_recording(tmp_path: Path) -> None:
    with SandboxProcess(record=str(tmp_path)) as sandbox, requests.Session() as http:
        settings = sandbox.settings
        http.auth = (settings["account_sid"], settings["auth_token"])
        url = f"{sandbox.base_url}/sync.twilio.com/v1/Services/{settings['sync_service_sid']}/Documents"
        revision = http.post(url, data={"UniqueName": "a"}, timeout=30).json()["revision"]
        http.post(f"{url}/a", data={"Data": "{}"}, headers={"If-Match": revision}, timeout=30)
        http.delete(f"{url}/a", timeout=30)
        sandbox.control.health()
    (file,) = tmp_path.glob("*.jsonl")
    first, second, third = map(json.loads, file.read_text().splitlines())
    assert (first["method"], first["host"], first["status"]) == ("POST", "sync.twilio.com", 201)
    assert first["form"] == {"UniqueName": ["a"]}
    assert first["body"]["unique_name"] == "a"
    assert second["headers"]["if-match"] == revision
    assert second["response_headers"]["etag"]
    assert (third["status"], third["body"]) == (204, None)


def test_a_page_costs_the_same_in_a_large_service(account: Account) -> None:
    """Not a benchmark: with offsets, the last page of 30 000 would cost many times the first of 1 000."""
    auth = account.settings["account_sid"], account.settings["auth_token"]
    service = account.settings["sync_service_sid"]
    url = f"{account.settings['base_url']}/sync.twilio.com/v1/Services/{service}/Documents"
    account.control.load(documents=[{"unique_name": f"d{n}", "data": {"n": n}} for n in range(30_000)])

    def cost(token: str) -> float:
        begin = time.perf_counter()
        assert len(http.get(f"{url}?PageSize=100{token}", timeout=30).json()["documents"]) == 100
        return time.perf_counter() - begin

    with requests.Session() as http:
        http.auth = auth
        page = http.get(f"{url}?PageSize=100", timeout=30).json()
        for _ in range(290):
            page = http.get(
                page["meta"]["next_page_url"].replace("https://", f"{account.settings['base_url']}/"),
                timeout=30,
            ).json()
        late = "&PageToken=" + page["meta"]["next_page_url"].rpartition("PageToken=")[2]
        # One after the other, and the quickest of each: whatever else the machine does meets both.
        costs = [(cost(late), cost("")) for _ in range(15)]
        assert min(costs)[0] < min(first for _, first in costs) * 3
