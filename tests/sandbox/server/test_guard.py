"""No page in a developer's browser drives the control plane, or reads the credentials that it tells."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
import requests  # noqa: TID251 (what the SDK would never send)

from flexsms.sandbox.client import SandboxProcess
from flexsms.sandbox.server.guard import foreign, names_of

WILDCARD = "0.0.0.0"  # noqa: S104 (nothing is bound)


def settings(base_url: str, method: str = "GET", **headers: str) -> requests.Response:
    return requests.request(method, f"{base_url}/_sandbox/settings", data=b"{}", headers=headers, timeout=5)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1:1", "http://localhost", ""]
)
def test_a_page_is_refused(sandbox: SandboxProcess, method: str, origin: str) -> None:
    answer = settings(sandbox.base_url, method, Origin=origin, **{"Content-Type": "text/plain"})
    assert answer.status_code == 403
    assert sandbox.settings["auth_token"] not in answer.text


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example:80", WILDCARD, "", "[", "127.0.0.2"]
)
def test_another_name_for_the_same_address_is_refused(sandbox: SandboxProcess, host: str) -> None:
    assert settings(sandbox.base_url, Host=host).status_code == 403


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "[::1]", "LOCALHOST"])
def test_its_own_names_are_not(sandbox: SandboxProcess, name: str) -> None:
    port = urlsplit(sandbox.base_url).port
    for host in (name, f"{name}:{port}", f"{name}:8080"):  # the last is a forwarded port
        assert settings(sandbox.base_url, Host=host).status_code == 200
        assert settings(sandbox.base_url, Host=host, Origin=f"http://{host}").status_code == 200


def test_what_is_refused_changes_nothing(sandbox: SandboxProcess) -> None:
    answer = requests.post(
        f"{sandbox.base_url}/_sandbox/settings",
        data=b'{"latency_ms": 5000}', headers={"Origin": "https://evil.example"}, timeout=5,
    )  # fmt: skip
    assert "pages" in answer.json()["error"]
    assert sandbox.control.settings()["latency_ms"] == 0


def test_more_names_may_be_given() -> None:
    names = names_of(WILDCARD, ["Sandbox"])
    assert names == {"127.0.0.1", "localhost", "::1", "sandbox"}
    assert names_of("10.0.0.7", []) == {"127.0.0.1", "localhost", "::1", "10.0.0.7"}
    assert foreign({b"host": b"sandbox:9999"}, names) is None
    assert foreign({b"host": b"other:9999"}, names) is not None
    assert foreign({}, names) is not None
    assert foreign({}, None) is None
