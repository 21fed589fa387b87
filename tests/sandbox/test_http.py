"""What is the same for every product, asked for without the SDK."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

import pytest
import requests  # noqa: TID251 (what the SDK would never send)

from flexsms.sandbox.client import SandboxProcess

FLOWS = "flex-api.twilio.com/v1/FlexFlows"


class Raw:
    """Plain HTTP with the account's credentials."""

    def __init__(self, sandbox: SandboxProcess) -> None:
        self.settings = sandbox.settings
        self._base = sandbox.base_url
        self.session = requests.Session()
        self.auth: Any = (self.settings["account_sid"], self.settings["auth_token"])

    def __call__(self, method: str, path: str, **more: Any) -> requests.Response:
        return self.session.request(method, f"{self._base}/{path}", timeout=10, **{"auth": self.auth, **more})

    def documents(self, rest: str = "") -> str:
        return f"sync.twilio.com/v1/Services/{self.settings['sync_service_sid']}/Documents{rest}"


@pytest.fixture
def raw(sandbox: SandboxProcess) -> Iterator[Raw]:
    raw = Raw(sandbox)
    yield raw
    raw.session.close()


@pytest.mark.parametrize("auth", [None, ("AC0", "x"), ("account_sid", "wrong"), ("wrong", "auth_token")])
def test_wrong_credentials(raw: Raw, auth: tuple[str, str] | None) -> None:
    given = auth and tuple(raw.settings.get(part, part) for part in auth)
    answer = raw("GET", FLOWS, auth=given)
    assert answer.status_code == 401
    assert answer.json() == {
        "code": 20003, "message": "Authenticate", "more_info": "https://www.twilio.com/docs/errors/20003",
        "status": 401,
    }  # fmt: skip


def test_an_api_key(raw: Raw) -> None:
    auth = raw.settings["api_key_sid"], raw.settings["api_key_secret"]
    assert raw("GET", FLOWS, auth=auth).status_code == 200


def test_a_restricted_key(raw: Raw, sandbox: SandboxProcess) -> None:
    auth = raw.settings["restricted_key_sid"], raw.settings["restricted_key_secret"]
    assert raw("GET", FLOWS, auth=auth).json()["code"] == 20403
    sandbox.control.settings(forbidden_hosts=["sync.twilio.com"])
    assert raw("GET", FLOWS, auth=auth).status_code == 200
    assert raw("GET", raw.documents(), auth=auth).status_code == 403


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "flex-api.twilio.com/v1/Nothing", 404, 20404),
        ("GET", "flex-api.twilio.com/v1/FlexFlows/FO1/More", 404, 20404),
        ("GET", "flex-api.twilio.com/v1", 404, 20404),
        ("GET", "example.com/v1/FlexFlows", 404, 20404),
        ("GET", "", 404, 20404),
        ("DELETE", FLOWS, 405, 20004),
        ("PUT", FLOWS, 405, 20004),
    ],
)
def test_no_such_route(raw: Raw, method: str, path: str, status: int, code: int) -> None:
    answer = raw(method, path)
    assert (answer.status_code, answer.json()["code"], answer.json()["status"]) == (status, code, status)


def test_parameters(raw: Raw) -> None:
    for form, word in (
        ({}, "FriendlyName"),
        ({"FriendlyName": ""}, "FriendlyName"),
        ({"FriendlyName": "x", "Colour": "red"}, "Colour"),
        ({"FriendlyName": "x", "Integration.RetryCount": "4"}, "RetryCount"),
        ({"FriendlyName": "x", "Integration.Timeout": "soon"}, "Timeout"),
        ({"FriendlyName": "x", "LongLived": "perhaps"}, "LongLived"),
    ):
        answer = raw("POST", FLOWS, data=form)
        assert (answer.status_code, answer.json()["code"]) == (400, 20001)
        assert word in answer.json()["message"]
    sessions = f"proxy.twilio.com/v1/Services/{raw.settings['session_service_sid']}/Sessions"
    assert "DateExpiry" in raw("POST", sessions, data={"DateExpiry": "soon"}).json()["message"]
    assert "Colour" in raw("GET", FLOWS, params={"Colour": "red"}).json()["message"]
    answer = raw("POST", raw.documents(), json={"UniqueName": "x"})
    assert answer.json()["unique_name"] is None  # a JSON body is no form


def test_the_meta_block(raw: Raw) -> None:
    for n in range(5):
        raw("POST", raw.documents(), data={"UniqueName": f"d{n}"})
    url = "https://" + raw.documents()
    first = raw("GET", raw.documents(), params={"PageSize": 2}).json()["meta"]
    assert first["key"] == "documents"
    assert (first["page"], first["page_size"], first["previous_page_url"]) == (0, 2, None)
    assert first["url"] == first["first_page_url"] == f"{url}?PageSize=2&Page=0"
    assert first["next_page_url"].startswith(f"{url}?PageSize=2&Page=1&PageToken=PA")
    second = raw("GET", first["next_page_url"].removeprefix("https://")).json()
    assert [row["unique_name"] for row in second["documents"]] == ["d2", "d3"]
    assert second["meta"]["page"] == 1
    third = raw("GET", second["meta"]["next_page_url"].removeprefix("https://")).json()
    assert third["meta"]["next_page_url"] is None
    back = raw("GET", third["meta"]["previous_page_url"].removeprefix("https://")).json()
    assert [row["unique_name"] for row in back["documents"]] == ["d2", "d3"]
    start = raw("GET", back["meta"]["previous_page_url"].removeprefix("https://")).json()
    assert [row["unique_name"] for row in start["documents"]] == ["d0", "d1"]
    assert start["meta"]["previous_page_url"] is None


def test_filters_survive_in_page_urls(raw: Raw) -> None:
    path = f"taskrouter.twilio.com/v1/Workspaces/{raw.settings['workspace_sid']}/Tasks"
    for _ in range(3):
        raw("POST", path, data={"Attributes": "{}"})
    meta = raw("GET", f"{path}?AssignmentStatus=pending&AssignmentStatus=assigned&PageSize=2").json()["meta"]
    assert "AssignmentStatus=pending&AssignmentStatus=assigned&PageSize=2&Page=1" in meta["next_page_url"]
    assert len(raw("GET", meta["next_page_url"].removeprefix("https://")).json()["tasks"]) == 1


@pytest.mark.parametrize(
    "query",
    [
        "PageSize=101",
        "PageSize=0",
        "PageSize=x",
        "PageToken=PAzzz",
        "PageToken=PAeyJ9",
        "PageToken=XXMQ",
        "PageToken=PAIngi",
    ],
)
def test_pages_that_cannot_be(raw: Raw, query: str) -> None:
    raw("POST", raw.documents(), data={"UniqueName": "d"})
    answer = raw("GET", f"{raw.documents()}?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, 20001)


def test_an_encoded_slash_stays_part_of_a_name(raw: Raw) -> None:
    for name in ("a/b", "a#b", "a?b", "Größe"):
        raw("POST", raw.documents(), data={"UniqueName": name})
        answer = raw("GET", raw.documents("/" + quote(name, safe="")))
        assert answer.json()["unique_name"] == name


def test_headers(raw: Raw) -> None:
    answers = [raw("GET", FLOWS) for _ in range(2)]
    sids = {answer.headers["Twilio-Request-Id"] for answer in answers}
    assert len(sids) == 2
    assert all(sid.startswith("RQ") and len(sid) == 34 for sid in sids)
    assert answers[0].headers["Content-Type"] == "application/json"
    assert answers[0].headers["Twilio-Concurrent-Requests"] == "1"
    assert raw("POST", FLOWS).headers["Twilio-Request-Id"]


def test_the_date_is_the_virtual_clock(raw: Raw, sandbox: SandboxProcess) -> None:
    sandbox.control.advance(86400)
    date = parsedate_to_datetime(raw("GET", FLOWS).headers["Date"])
    assert abs(date - datetime.now(UTC) - timedelta(days=1)) < timedelta(seconds=5)
    assert raw("GET", "flex-api.twilio.com/v1/Nothing").headers["Date"]


def test_proxy_gives_at_most_a_hundred_a_page(raw: Raw, sandbox: SandboxProcess) -> None:
    numbers = [{"customer": f"+1415555{n:04d}", "session": True} for n in range(1000, 1150)]
    sandbox.control.load(channels=numbers)
    path = f"proxy.twilio.com/v1/Services/{raw.settings['session_service_sid']}/Sessions"
    answer = raw("GET", path, params={"PageSize": 1000}).json()
    assert (len(answer["sessions"]), answer["meta"]["page_size"]) == (100, 100)
    assert answer["meta"]["next_page_url"]
    assert raw("GET", path, params={"PageSize": 1001}).status_code == 400
