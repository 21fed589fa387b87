"""Requests that schemathesis makes of what the routes say of themselves, to Airflow's API server, over HTTP.

What the schema allows and what it does not, as a stranger, with a login, and with Twilio's signature. Every answer is
held against the schema, and none may be a 5xx: nothing is wrong with the inbox here. What no schema says, requests that
are hardly HTTP, is for `test_fuzz.py`.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import schemathesis
from schemathesis.engine import events, from_schema
from twilio.request_validator import SIGNATURE_SETTINGS_HEADER, RequestValidator, get_signature_algorithm

from tests.support.api_server import ApiServer

from .conftest import KEY, PUBLIC, connection_to, token_of

pytestmark = pytest.mark.e2e

DIGEST = re.compile(r"(?<=[?&]bodySHA256=)[0-9A-Fa-f]{64}(?=&|$)")
# Starlette names in `Allow` the methods of the first route on a path only.
NOT_OURS = ["allow_header_conformance"]
ELSE = {method: {405} for method in ("PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY")}


def sign(request: Any) -> Any:
    """Sign whatever is about to be sent, as Twilio would. A digest that was made badly stays bad."""
    body = request.body or b""
    body = body.encode() if isinstance(body, str) else body
    request.url = DIGEST.sub(hashlib.sha256(body).hexdigest(), request.url)
    settings = request.headers.get(SIGNATURE_SETTINGS_HEADER)
    algorithm = get_signature_algorithm(
        settings.decode("latin-1") if isinstance(settings, bytes) else settings
    )
    called = f"{PUBLIC}?{urlsplit(request.url).query}"
    signature = RequestValidator(KEY).compute_signature(called, {}, algorithm)
    request.headers["X-Twilio-Signature"] = signature
    return request


@pytest.fixture(scope="module")
def address(airflow_db: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(
            "AIRFLOW_CONN_TWILIO_DEFAULT", connection_to(f"file://{tmp_path_factory.mktemp('fuzz')}")
        )
        with ApiServer() as server:
            yield server.url


@pytest.fixture
def schema(address: str) -> Any:
    """Of the app itself: what is mounted serves none."""
    from flexsms.web.app import create_app

    # A look-up asks Twilio, who is not here.
    schema = schemathesis.openapi.from_dict(create_app().openapi()).exclude(path_regex="^/channels/")
    schema.config.update(base_url=f"{address}/flexsms", continue_on_failure=True, request_timeout=60)
    schema.config.generation.update(deterministic=True, max_examples=40, database="none")
    schema.config.checks.update(excluded_check_names=NOT_OURS)
    return schema


def answers(schema: Any) -> dict[str, set[int]]:
    """How each method was answered, provided that nothing was wrong with any answer."""
    found: defaultdict[str, set[int]] = defaultdict(set)
    wrong: list[str] = []
    for happened in from_schema(schema).execute():
        match happened:
            case events.NonFatalError() | events.FatalError():
                wrong.append(repr(happened))
            case events.ScenarioFinished(recorder=recorder):
                checks = [check for checks in recorder.checks.values() for check in checks]
                wrong += [f"{check.name}: {check.failure_info}" for check in checks if check.failure_info]
                for call in recorder.interactions.values():
                    found[call.request.method].add(call.response.status_code)
    assert not wrong, "\n".join(wrong)
    return found


def test_a_stranger_gets_nowhere(schema: Any) -> None:
    # 405: the dashboard is only looked at.
    assert answers(schema) == {"GET": {401, 403}, "POST": {403, 405}, **ELSE}


def test_a_login_is_for_looking_only(schema: Any) -> None:
    schema.config.update(headers={"Authorization": f"Bearer {token_of('user')}"})
    # 401 and 403: where schemathesis looks what happens without it, or with another.
    assert answers(schema) == {"GET": {200, 401, 403, 404, 422}, "POST": {403, 405}, **ELSE}


def test_twilios_signature_is_for_posting_only(schema: Any) -> None:
    schema.auth.set_from_requests(sign)
    # 403: for a digest, or an algorithm, that is none.
    assert answers(schema) == {"GET": {401}, "POST": {204, 400, 403, 405}, **ELSE}
