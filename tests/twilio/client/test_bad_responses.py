"""What only Twilio can find out: wrong credentials, missing rights, unknown SIDs. One clear sentence each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from flexsms.core.exceptions import InvalidInput, NotAuthorized, NotFound, PermanentError, ProductGone
from flexsms.core.outbound_message import OutboundMessage
from flexsms.twilio.account import Account, connect
from flexsms.twilio.client.settings import TwilioSettings
from flexsms.twilio.tracking.tracker import track

if TYPE_CHECKING:
    from flexsms.sandbox.client import SandboxProcess

pytestmark = pytest.mark.anyio


async def send(account: Account, number: str) -> Any:
    message = OutboundMessage.parse(from_number=number, to_number="+14155550177", body="Hi")
    return await account.sender().send(message, key="k", owner="me")


async def follow(account: Account, _number: str) -> Any:
    async def save(_: str) -> None: ...

    return await track(account.taskrouter(), account.store, cursor=None, save_cursor=save, at_once=4)


async def look(account: Account, _number: str) -> Any:
    return [page async for page in account.store.scan(adopt=True)]


@pytest.mark.parametrize("job", [send, follow, look])
@pytest.mark.parametrize(
    ("changes", "kind", "says"),
    [
        pytest.param({"password": "wrong"}, NotAuthorized, "check login and password", id="wrong token"),
        pytest.param(
            {"login": "AC" + "0" * 32}, NotAuthorized, "check login and password", id="wrong account"
        ),
    ],
)
async def test_wrong_credentials(
    settings: TwilioSettings,
    sandbox: SandboxProcess,
    job: Callable[[Account, str], Awaitable[Any]],
    changes: dict[str, Any],
    kind: type[PermanentError],
    says: str,
) -> None:
    async with connect(replace(settings, **changes)) as account:
        with pytest.raises(kind, match=says) as caught:
            await job(account, sandbox.settings["numbers"]["twilio"])
    assert str(caught.value).endswith(".")
    assert "wrong" not in str(caught.value)


@pytest.mark.parametrize("job", [send, follow, look])
async def test_a_key_without_rights(
    settings: TwilioSettings, sandbox: SandboxProcess, job: Callable[[Account, str], Awaitable[Any]]
) -> None:
    sandbox.control.fault(
        match={"method": "GET"}, action="status", status=403, code=20403, message="Forbidden"
    )
    async with connect(settings) as account:
        with pytest.raises(NotAuthorized, match=r"Forbidden \(20403\); give the API key the permission"):
            await job(account, sandbox.settings["numbers"]["twilio"])


@pytest.mark.parametrize(
    ("field", "prefix", "job", "says"),
    [
        ("sync_service_sid", "IS", look, "check"),
        ("sync_service_sid", "IS", send, "check"),
        ("workspace_sid", "WS", follow, "check the SID"),
        ("session_service_sid", "KS", send, "check the SID"),
        ("chat_service_sid", "IS", send, "check"),
    ],
)
async def test_an_unknown_service(
    settings: TwilioSettings,
    sandbox: SandboxProcess,
    field: str,
    prefix: str,
    job: Callable[[Account, str], Awaitable[Any]],
    says: str,
) -> None:
    unknown: dict[str, Any] = {field: prefix + "0" * 32}
    async with connect(replace(settings, **unknown)) as account:
        with pytest.raises((NotFound, ProductGone), match=says) as caught:
            await job(account, sandbox.settings["numbers"]["twilio"])
    assert str(caught.value).endswith(".")


async def test_an_unknown_worker_is_named_by_its_field(account: Account, sandbox: SandboxProcess) -> None:
    message = OutboundMessage.parse(
        from_number=sandbox.settings["numbers"]["twilio"],
        to_number="+14155550177",
        target_worker_sid="WK" + "0" * 32,
    )
    with pytest.raises(
        InvalidInput, match=r"target_worker_sid: WK0+ is no worker of the workspace; copy the SID"
    ):
        await account.sender().send(message, key="k", owner="me")
