"""Airflow's real API server app with the plugin in it, a connection with an inbox, and posts as Twilio signs them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from twilio.request_validator import RequestValidator

from flexsms.sources.object_storage import ObjectStorageInbox

KEY = "0123456789abcdef0123456789abcdef"
PUBLIC = "https://airflow.example.com/flexsms/events"
PATH = "/flexsms/events"
ACCOUNT = "AC" + "0" * 32
CHANNEL = "CH" + "1" * 32
TASK = "WT" + "2" * 32

HERE = Path(__file__).resolve().parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Airflow 3.3.2 itself uses a class that pathspec deprecates; that is not ours to fail for."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning"))


def event(number: int = 1, channel_sid: str = CHANNEL, **changes: Any) -> dict[str, Any]:
    """A CloudEvent of Event Streams."""
    payload = {"task_sid": TASK, "task_attributes": json.dumps({"channelSid": channel_sid, "name": "Ada"})}
    return {
        "specversion": "1.0",
        "type": "com.twilio.taskrouter.task.created",
        "id": f"EZ{number:032x}",
        "time": "2026-11-18T16:42:07.318Z",
        "data": {"timestamp": "2024-11-18T16:42:07.105Z", "payload": payload},
        **changes,
    }


def signed(body: bytes, *, url: str = PUBLIC, key: str = KEY, algorithm: str | None = None) -> dict[str, Any]:
    """The query and the headers with which Twilio would post a body."""
    query = f"bodySHA256={hashlib.sha256(body).hexdigest()}"
    signature = RequestValidator(key).compute_signature(f"{url}?{query}", {}, algorithm)
    headers = {"x-twilio-signature": signature, "content-type": "application/json"}
    return {"url": f"{PATH}?{query}", "headers": headers}


def connection_to(inbox_url: str, login: str = ACCOUNT, **extra: Any) -> str:
    """An Airflow connection with an inbox."""
    extra = {"inbox_path": inbox_url, "events_url": PUBLIC, "account_sid": ACCOUNT, **extra}
    return json.dumps({"conn_type": "twilio", "login": login, "password": KEY, "extra": extra})


def token_of(role: str, expires_in_s: int = 3600) -> str:
    """What Airflow gives to somebody with a role who logs in."""
    from airflow.api_fastapi.app import create_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    user = SimpleAuthManagerUser(username=role, role=role.upper())
    return create_auth_manager().generate_jwt(user, expiration_time_in_seconds=expires_in_s)


@pytest.fixture
def inbox_url(tmp_path: Path) -> str:
    return f"file://{tmp_path}/inbox"


@pytest.fixture
def inbox(inbox_url: str) -> ObjectStorageInbox:
    """The inbox, from outside the web app."""
    return ObjectStorageInbox(inbox_url)


@pytest.fixture
def connection(inbox_url: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`twilio_default` has an inbox; call it to change the connection, as an administrator would."""
    from flexsms.web import event_streams
    from flexsms.web.connection_cache import Desk

    monkeypatch.setattr(event_streams, "desk", Desk())

    def connection(conn_id: str = "twilio_default", **changes: Any) -> None:
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", connection_to(inbox_url, **changes))

    connection()
    return connection


@pytest.fixture(scope="session")
def server(airflow_db: Path) -> Iterator[Any]:
    """Airflow's API server, in this process."""
    from airflow.api_fastapi.app import create_app, purge_cached_app

    yield create_app()
    purge_cached_app()


@pytest.fixture
async def api(server: Any, connection: Any) -> AsyncIterator[httpx.AsyncClient]:
    """Speaks to Airflow's API server."""
    transport = httpx.ASGITransport(app=server)
    async with httpx.AsyncClient(transport=transport, base_url="http://inside:8080") as client:
        yield client


@pytest.fixture
def login(server: Any) -> Callable[[str], dict[str, str]]:
    """The headers of somebody with a role."""

    def login(role: str) -> dict[str, str]:
        return {"authorization": f"Bearer {token_of(role)}"}

    return login


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dashboard's files as they are served, for Node."""
    from flexsms.web.dashboard import FILES

    folder = tmp_path_factory.mktemp("page")
    (folder / "package.json").write_text('{"type": "module"}')
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    return folder
