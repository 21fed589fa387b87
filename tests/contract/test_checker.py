"""The check itself: it accepts what Twilio publishes, and catches what is wrong, by name."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract import openapi
from tests.contract.checker import Checker, _text_class
from tests.contract.deviations import DEVIATIONS
from tests.contract.openapi import Documents, DocumentsMissing, Schema

ACCOUNT, SERVICE, DOCUMENT = "AC" + "0" * 32, "IS" + "1" * 32, "ET" + "2" * 32
URL = f"https://sync.twilio.com/v1/Services/{SERVICE}/Documents"


def document(number: int = 0) -> dict[str, Any]:
    return {
        "sid": DOCUMENT,
        "unique_name": f"flexsms.CH{number:032x}",
        "account_sid": ACCOUNT,
        "service_sid": SERVICE,
        "url": f"{URL}/{DOCUMENT}",
        "links": {"permissions": f"{URL}/{DOCUMENT}/Permissions"},
        "revision": f"{number:x}",
        "data": {"v": 1, "tasks": {"anything": ["goes", number]}},
        "date_expires": None,
        "date_created": "2026-11-20T10:00:00Z",
        "date_updated": "2026-11-20T10:00:00Z",
        "created_by": "system",
    }


def create() -> dict[str, Any]:
    return {
        "method": "POST",
        "host": "sync.twilio.com",
        "path": f"/v1/Services/{SERVICE}/Documents",
        "query": {},
        "form": {"UniqueName": ["flexsms.CH1"], "Data": ['{"v": 1}'], "Ttl": ["3600"]},
        "headers": {"content-type": "application/x-www-form-urlencoded"},
        "status": 201,
        "response_headers": {},
        "body": document(),
    }


def page(size: int = 3) -> dict[str, Any]:
    return {
        **create(),
        "method": "GET",
        "query": {"PageSize": ["100"]},
        "form": {},
        "status": 200,
        "body": {
            "documents": [document(number) for number in range(size)],
            "meta": {
                "first_page_url": f"{URL}?PageSize=100&Page=0",
                "key": "documents",
                "next_page_url": None,
                "page": 0,
                "page_size": 100,
                "previous_page_url": None,
                "url": f"{URL}?PageSize=100&Page=0",
            },
        },
    }


def tasks(**query: list[str]) -> dict[str, Any]:
    workspace = "WS" + "3" * 32
    url = f"https://taskrouter.twilio.com/v1/Workspaces/{workspace}/Tasks"
    exchange = page()
    exchange.update(host="taskrouter.twilio.com", path=f"/v1/Workspaces/{workspace}/Tasks", query=query)
    exchange["body"] = {
        "tasks": [],
        "meta": {**exchange["body"]["meta"], "key": "tasks", "url": url, "first_page_url": url},
    }
    return exchange


def refused(status: int = 400, **body: Any) -> dict[str, Any]:
    envelope = {"code": 20001, "message": "Wrong.", "more_info": "https://www.twilio.com/docs/errors/20001"}
    return {
        **create(),
        "form": {"Nonsense": ["x"]},
        "status": status,
        "body": {**envelope, "status": status, **body},
    }


def change(exchange: dict[str, Any], *path: Any, to: Any) -> dict[str, Any]:
    changed = copy.deepcopy(exchange)
    target: Any = changed
    for step in path[:-1]:
        target = target[step]
    if to is ...:
        del target[path[-1]]
    else:
        target[path[-1]] = to
    return changed


def violations(documents: Documents, *exchanges: dict[str, Any]) -> list[str]:
    checker = Checker(documents, ())
    for exchange in exchanges:
        checker.check(exchange)
    return [
        f"{found.operation.split(' (')[0]} / {found.where} {found.problem}" for found in checker.violations
    ]


def test_every_answer_that_twilio_publishes_fits_and_every_deviation_has_an_example(
    documents: Documents,
) -> None:
    checker = Checker(documents, ())
    shown = 0
    for operation in documents:
        for status, examples in operation.examples.items():
            for example in examples:
                shown += 1
                checker._check_answer(operation, status, {"body": example})
    assert shown > 400
    for violation in checker.violations:
        assert any(deviation.covers(violation) for deviation in DEVIATIONS), str(violation)
    for deviation in DEVIATIONS:
        assert any(deviation.covers(violation) for violation in checker.violations), deviation


@pytest.mark.parametrize(
    "exchange",
    [
        pytest.param(create(), id="create"),
        pytest.param(page(), id="page"),
        pytest.param(page(0), id="empty page"),
        pytest.param(tasks(AssignmentStatus=["pending", "reserved"], HasAddons=["false"]), id="list as parameter"),
        pytest.param(change(create(), "body", to=json.dumps(document())), id="body as text"),
        pytest.param(change(create(), "form", "Ttl", to="3600"), id="one value, no list"),
        pytest.param(refused(), id="refused: the request may be anything"),
        pytest.param(change(refused(401, code=20003), "path", to="/v1/Nothing"), id="refused: unknown path"),
        pytest.param(refused(code=None), id="error without a code"),
        pytest.param({**create(), "status": 503, "body": "<html>Bad gateway</html>"}, id="a gateway's answer"),
        pytest.param({**create(), "status": None, "body": None}, id="no answer at all"),
        pytest.param({**create(), "method": "DELETE", "path": f"/v1/Services/{SERVICE}/Documents/{DOCUMENT}",
                      "form": {}, "headers": {"If-Match": ""}, "status": 204, "body": ""}, id="delete"),
    ],
)  # fmt: skip
def test_right_traffic_passes(documents: Documents, exchange: dict[str, Any]) -> None:
    assert violations(documents, exchange) == []


@pytest.mark.parametrize(
    ("exchange", "found"),
    [
        (change(create(), "path", to="/v1/Services/IS1/Papers"),
         "POST https://sync.twilio.com/v1/Services/IS1/Papers / request is no published operation"),
        (change(create(), "host", to="sink.twilio.com"),
         f"POST https://sink.twilio.com/v1/Services/{SERVICE}/Documents / request is no published operation"),
        (change(create(), "form", "Date", to=["{}"]), "CreateDocument / request: form Date is no published parameter"),
        (change(create(), "query", "Ttl", to=["1"]), "CreateDocument / request: query Ttl is no published parameter"),
        (change(create(), "form", "Ttl", to=["an hour"]), "CreateDocument / request: form Ttl is not of type integer"),
        (change(create(), "form", "Ttl", to=["1", "2"]), "CreateDocument / request: form Ttl is given more than once"),
        (change(create(), "form", "Data", to=["{v: 1}"]), "CreateDocument / request: form Data is not JSON"),
        (change(create(), "headers", "If-Match", to="a"),
         "CreateDocument / request: header if-match is no published parameter"),
        (change(page(), "query", "PageSize", to=["5000"]),
         "ListDocument / request: query PageSize 5000 is greater than"),
        (change(tasks(), "path", to="/v1/Workspaces/WT1/Tasks"),
         "ListTask / request: path WorkspaceSid does not fit pattern ^WS[0-9a-fA-F]{32}$"),
        (tasks(HasAddons=["maybe"]), "ListTask / request: query HasAddons is not of type boolean"),
        ({**create(), "host": "flex-api.twilio.com", "path": "/v1/Channels",
          "form": {"FlexFlowSid": ["FO" + "0" * 32], "Identity": ["sms"], "ChatUserFriendlyName": ["Ada"]},
          "status": None},
         "CreateChannel / request: form ChatFriendlyName is required"),
        (change(create(), "status", to=200), "CreateDocument / answer 200 is no published status (published: 201)"),
        (change(create(), "body", "revision", to=...), "CreateDocument / answer 201: revision is missing"),
        (change(create(), "body", "etag", to="a"), "CreateDocument / answer 201: etag is no published field"),
        (change(create(), "body", "revision", to=7), "CreateDocument / answer 201: revision is not of type string"),
        (change(create(), "body", "sid", to="MP" + "0" * 32),
         "CreateDocument / answer 201: sid does not fit pattern ^ET[0-9a-fA-F]{32}$"),
        (change(create(), "body", "date_updated", to="2026-11-20 10:00:00"),
         "CreateDocument / answer 201: date_updated is not a date-time"),
        (change(create(), "body", "url", to="/v1/Services"), "CreateDocument / answer 201: url is not a uri"),
        (change(create(), "body", "links", "permissions", to="there"),
         "CreateDocument / answer 201: links is not a uri-map"),
        (change(page(), "body", "documents", 1, "revision", to=...),
         "ListDocument / answer 200: documents[].revision is missing"),
        (change(page(), "body", "meta", "page", to="0"), "ListDocument / answer 200: meta.page is not of type integer"),
        (refused(code="20001"), "CreateDocument / error 400: code is not of type integer"),
        (change(refused(), "body", to={"message": "Wrong."}), "CreateDocument / error 400: code is missing"),
        (change(refused(), "body", "status", to=404), "CreateDocument / error 400: status is not 400"),
        (change(refused(), "body", to="Wrong."), "CreateDocument / error 400 is not of type object"),
        (change(change(refused(), "path", to="/v1/Nothing"), "body", to=None), "error 400 is not of type object"),
    ],
)  # fmt: skip
def test_wrong_traffic_is_named(documents: Documents, exchange: dict[str, Any], found: str) -> None:
    all_found = violations(documents, exchange)
    assert any(found in violation for violation in all_found), all_found


def test_the_odd_one_out_of_many_is_found(documents: Documents) -> None:
    many = [page(100) for _ in range(50)]
    many[37] = change(many[37], "body", "documents", 71, "created_by", to=5)
    assert violations(documents, *many) == [
        "sync_v1 ListDocument / answer 200: documents[].created_by is not of type string"
    ]


def test_no_value_that_an_enum_could_tell_apart_counts_as_the_same(documents: Documents) -> None:
    def enums(schema: Schema) -> Iterator[str]:
        yield from (value for value in schema.get("enum", ()) if isinstance(value, str))
        for sub in schema.get("properties", {}).values():
            yield from enums(sub)
        if isinstance(schema.get("items"), dict):
            yield from enums(schema["items"])

    values = {
        value
        for operation in documents
        for schema in [
            *(p.schema for p in operation.parameters.values()),
            *filter(None, operation.answers.values()),
        ]
        for value in enums(schema)
    }
    assert {"pending", "agent-to-customer", "INACTIVE"} & values
    assert [value for value in values if _text_class(value) != f"word {value}"] == []


def test_half_a_line_of_a_killed_process_is_no_exchange(documents: Documents, tmp_path: Path) -> None:
    (tmp_path / "one.jsonl").write_text(json.dumps(create()) + "\n" + json.dumps(page())[:50])
    checker = Checker(documents)
    checker.check_file(tmp_path / "one.jsonl")
    assert (checker.exchanges, checker.violations) == (1, [])


def test_without_npm_one_sentence_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(openapi, "CACHE", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DocumentsMissing, match=r"npm package @twilio/cli-core@8\.3\.2: install npm\.$"):
        openapi._tarball()


def test_another_file_of_that_name_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / openapi.TARBALL).write_bytes(b"not it")
    monkeypatch.setattr(openapi, "CACHE", tmp_path)
    with pytest.raises(DocumentsMissing, match="not the file"):
        openapi._tarball()
    assert not (tmp_path / openapi.TARBALL).exists()


def test_a_recorded_violation_fails_the_run_by_name(documents: Documents, tmp_path: Path) -> None:
    """The whole way once: a recording with a mistake in it, and the last test over it."""
    (tmp_path / "one.jsonl").write_text(json.dumps(change(create(), "body", "revision", to=7)) + "\n")
    plugin = tmp_path / "recorded_elsewhere.py"
    plugin.write_text(
        "import pathlib, pytest\n\n"
        "@pytest.fixture\n"
        f"def recordings():\n    return pathlib.Path({str(tmp_path)!r})\n"
    )
    test = tmp_path / "test_last.py"
    test.write_text(
        "from recorded_elsewhere import recordings\n"
        "from tests.contract.conftest import documents\n"
        "from tests.contract.test_recorded_traffic import *\n"
    )
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "addopts=", "-o", "filterwarnings=",
         "-c", str(openapi.ROOT / "pyproject.toml"), "--rootdir", str(openapi.ROOT), str(test)],
        cwd=openapi.ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert run.returncode == 1, run.stdout
    assert (
        "sync_v1 CreateDocument (POST https://sync.twilio.com/v1/Services/{ServiceSid}/Documents)"
        in run.stdout
    )
    assert "answer 201: revision: is not of type string" in run.stdout


def test_one_text_that_is_no_json_is_found_among_many_that_are(documents: Documents) -> None:
    many = [change(create(), "form", "Data", to=[json.dumps({"v": number})]) for number in range(100)]
    many[50]["form"]["Data"] = ["{'v': 50}"]
    assert violations(documents, *many) == ["sync_v1 CreateDocument / request: form Data is not JSON"]
