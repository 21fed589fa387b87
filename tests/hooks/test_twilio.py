"""The Airflow connection, against a local Twilio."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from twilio.base.exceptions import TwilioRestException

from flexsms.core.exceptions import InvalidInput, MissingSetting, PermanentError
from flexsms.hooks.twilio import TwilioHook
from flexsms.sandbox.client import SandboxProcess
from flexsms.twilio.account import Account


@pytest.fixture
def connect(
    sandbox: SandboxProcess, connection_extra: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., TwilioHook]:
    """A hook on `twilio_default`, with changes to the connection's extra and its login or password."""

    def connect(login: str = "", password: str = "", **extra: Any) -> TwilioHook:
        value = {
            "conn_type": "twilio",
            "login": login or sandbox.settings["account_sid"],
            "password": password or sandbox.settings["auth_token"],
            "extra": {**connection_extra, "timeout_s": 2, **extra},
        }
        monkeypatch.setenv("AIRFLOW_CONN_TWILIO_DEFAULT", json.dumps(value))
        return TwilioHook()

    return connect


def test_settings_are_read_from_the_connection(connect: Callable[..., TwilioHook]) -> None:
    assert connect(max_in_flight="7").settings.max_in_flight == 7


@pytest.mark.parametrize("extra", ["{bad", "[]", "null", "17"])
async def test_an_extra_that_is_no_object_is_named(extra: str, connect: Callable[..., TwilioHook]) -> None:
    hook = connect()
    stored = json.loads(os.environ["AIRFLOW_CONN_TWILIO_DEFAULT"])
    os.environ["AIRFLOW_CONN_TWILIO_DEFAULT"] = json.dumps({**stored, "extra": extra})
    with pytest.raises(
        MissingSetting, match=r"^Connection field extra: is not a JSON object; check its quotes"
    ):
        _ = hook.settings
    with pytest.raises(MissingSetting, match=r"^Connection field extra: is not a JSON object"):
        await hook.asettings()


async def test_settings_are_the_same_in_an_event_loop(connect: Callable[..., TwilioHook]) -> None:
    hook = connect()
    assert await hook.asettings() == hook.settings


async def test_so_they_are_in_airflow_3_3_1(
    connect: Callable[..., TwilioHook], monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = connect()
    now = hook.get_connection(hook.twilio_conn_id)
    older = SimpleNamespace(login=now.login, password=now.password, extra_dejson=now.extra_dejson)

    async def connection(conn_id: str) -> SimpleNamespace:
        return older

    monkeypatch.setattr(hook, "aget_connection", connection)
    assert await hook.asettings() == hook.settings


@pytest.mark.parametrize(
    "conn_id",
    ["../variables/canary", "twilio_default?x=1", "a/b", "a b", "..", ".", "", "a\n", "%2e%2e", None],
)
def test_a_name_that_leads_elsewhere_is_none(conn_id: Any) -> None:
    """Airflow's client puts it into a URL as it is."""
    with pytest.raises(
        InvalidInput, match="twilio_conn_id: is no name of an Airflow connection; give letters"
    ):
        TwilioHook(conn_id)


def test_a_wrong_setting_is_named_with_its_connection(connect: Callable[..., TwilioHook]) -> None:
    with pytest.raises(
        MissingSetting, match=r"timeout_s: is 'soon'.*\(Airflow connection 'twilio_default'\)\.$"
    ):
        _ = connect(timeout_s="soon").settings


def test_a_missing_setting_is_named_when_a_job_needs_it(connect: Callable[..., TwilioHook]) -> None:
    async def work(account: Account) -> object:
        return account.store

    with pytest.raises(MissingSetting, match=r"sync_service_sid: is empty.*'twilio_default'") as caught:
        connect(sync_service_sid="").run(work)
    assert caught.value.field == "sync_service_sid"


async def test_a_connection_that_does_not_exist_is_named() -> None:
    hook = TwilioHook("nowhere")
    with pytest.raises(PermanentError, match="no connection 'nowhere'; create it"):
        _ = hook.settings
    with pytest.raises(PermanentError, match="no connection 'nowhere'; create it"):
        async with hook.account():
            pass
    with pytest.raises(PermanentError, match="no connection '…0171'; create it"):
        _ = TwilioHook("14155550171").settings


async def test_the_account_works(connect: Callable[..., TwilioHook], sandbox: SandboxProcess) -> None:
    async with connect().account() as account:
        flows = await account.client.flex_api.v1.flex_flow.list_async()
    assert {flow.sid for flow in flows} >= set(sandbox.settings["flex_flow_sids"].values())


def test_code_without_an_event_loop_can_work_too(connect: Callable[..., TwilioHook]) -> None:
    async def count(account: Account) -> int:
        await account.client.flex_api.v1.flex_flow.page_async(page_size=1)
        return account.transport.total_calls

    assert connect().run(count) == 1


def test_the_plain_client_goes_where_base_url_says(
    connect: Callable[..., TwilioHook], sandbox: SandboxProcess
) -> None:
    client = connect().get_conn()
    service = client.sync.v1.services(sandbox.settings["sync_service_sid"]).fetch()
    assert service.sid == sandbox.settings["sync_service_sid"]
    with pytest.raises(TwilioRestException):
        client.sync.v1.services("IS" + "0" * 32).fetch()


def test_the_plain_client_leaves_twilios_urls_alone(
    connect: Callable[..., TwilioHook], monkeypatch: pytest.MonkeyPatch
) -> None:
    urls: list[str] = []

    def request(_self: object, _method: str, url: str, *_args: object, **_more: object) -> None:
        urls.append(url)
        raise ConnectionError

    monkeypatch.setattr("twilio.http.http_client.TwilioHttpClient.request", request)
    monkeypatch.setenv("TWILIO_REGION", "ie1")  # which the SDK would read by itself
    with pytest.raises(ConnectionError):
        connect(base_url="").get_conn().sync.v1.services("IS" + "0" * 32).fetch()
    assert urls == [f"https://sync.twilio.com/v1/Services/IS{'0' * 32}"]


def test_a_good_connection_says_what_answers(connect: Callable[..., TwilioHook]) -> None:
    assert connect().test_connection() == (True, "Connected: Sync, TaskRouter, Chat, Proxy, Flex answer.")


def test_a_connection_says_what_answers_on_the_other_stack(
    connect: Callable[..., TwilioHook], sandbox: SandboxProcess
) -> None:
    on_both = (
        "Connected: Sync, TaskRouter, Conversations, Interactions, Workflow, Queue, Chat, Proxy, Flex answer."
    )
    assert connect(stack="conversations").test_connection() == (True, on_both)
    alone = connect(
        stack="conversations", chat_service_sid="", session_service_sid="", workflow_sid="", queue_sid=""
    )
    assert alone.test_connection() == (
        True,
        "Connected: Sync, TaskRouter, Conversations, Interactions answer.",
    )
    ok, told = connect(stack="conversations", queue_sid="WQ" + "0" * 32).test_connection()
    assert (ok, told) == (
        False,
        f"Queue: queue_sid names nothing in this account; correct it (WQ{'0' * 32}).",
    )
    settings = sandbox.settings
    restricted = connect(
        settings["restricted_key_sid"], settings["restricted_key_secret"], stack="conversations"
    )
    assert "Interactions: " in restricted.test_connection()[1]


@pytest.mark.parametrize(
    ("extra", "sentence"),
    [
        *(
            ({field: f"{kind}{'0' * 32}"}, f": {field} names nothing in this account; correct it ({kind}000")
            for field, kind in [
                ("sync_service_sid", "IS"),
                ("workspace_sid", "WS"),
                ("session_service_sid", "KS"),
            ]
        ),
        ({"chat_service_sid": ""}, "Chat: Connection field chat_service_sid: is empty; give IS and 32"),
        ({"edge": "dublin"}, "Connection field region: is empty"),
        ({"base_url": "http://127.0.0.1:9"}, "check the network and base_url"),
        ({"login": "somebody"}, "Connection field login"),
        ({"password": "wrong"}, "check login and password of the Twilio connection"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_is_wrong_is_named_per_product(
    extra: dict[str, Any],
    sentence: str,
    connect: Callable[..., TwilioHook],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("flexsms.twilio.client.http_client.ATTEMPTS", 1)
    ok, told = connect(**extra).test_connection()
    assert not ok
    assert sentence in told


def test_a_restricted_key_names_every_product_it_may_not_use(
    connect: Callable[..., TwilioHook], sandbox: SandboxProcess
) -> None:
    settings = sandbox.settings
    ok, told = connect(settings["restricted_key_sid"], settings["restricted_key_secret"]).test_connection()
    assert not ok
    for product in ("Sync", "TaskRouter", "Chat", "Proxy", "Flex"):
        assert f"{product}: " in told


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("workspacesid", "workspace_sid"),
        ("Sync_Service_SID", "sync_service_sid"),
        ("flow_sid", "workflow_sid"),
        ("timeout", "timeout_s"),
    ],
)
def test_a_field_that_is_misspelt_is_named(name: str, meant: str, connect: Callable[..., TwilioHook]) -> None:
    hook = connect(**{name: "x", "mine": {"kept": True}})
    said = f"The extra has no field '{name}'; did you mean {meant}?"
    assert hook.misspelt() == [said]
    assert hook.test_connection() == (False, said)


def test_a_field_that_is_misspelt_is_named_even_if_nothing_answers(
    connect: Callable[..., TwilioHook],
) -> None:
    works, said = connect(timeout_s="soon", sync_service="IS").test_connection()
    assert not works
    assert said.startswith(
        "The extra has no field 'sync_service'; did you mean sync_service_sid? Connection field"
    )
