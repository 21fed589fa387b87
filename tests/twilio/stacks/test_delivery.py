"""What became of a text, asked of both stacks over real HTTP."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from flexsms.core.delivery_status import Delivery, DeliveryStatus
from flexsms.core.exceptions import NotFound, ProductGone, RateLimited, ServiceUnavailable
from flexsms.core.stack_name import StackName
from flexsms.twilio.account import Account, connect
from flexsms.twilio.client.settings import TwilioSettings
from tests.support.sms import CUSTOMER, STACKS, Texts

if TYPE_CHECKING:
    from flexsms.sandbox.client import SandboxProcess

pytestmark = pytest.mark.anyio

Look = Callable[[dict[str, Any]], Any]
SMS_LOG = {"host": "api.twilio.com"}
PAGE = "GET proxy.twilio.com/v1/Services/{id}/Sessions/{id}/Interactions"


@pytest.fixture(params=STACKS)
def texts(request: pytest.FixtureRequest, sandbox: SandboxProcess) -> Iterator[Texts]:
    with Texts(sandbox, request.param) as made:
        yield made


@pytest.fixture
async def account(settings: TwilioSettings, texts: Texts) -> AsyncIterator[Account]:
    """The account, its connection set to the stack of the texts."""
    async with connect(replace(settings, stack=StackName(texts.stack))) as connected:
        yield connected


@pytest.fixture
def look(account: Account) -> Look:
    """What is known of a text that was sent."""

    async def look(sent: dict[str, Any]) -> Delivery | None:
        names = ("channel_sid", "session_sid", "message_sid")
        return await account.deliveries(sent["session_sid"]).delivery(*(sent[name] for name in names))

    return look


def sms_of(texts: Texts, sent: dict[str, Any]) -> str:
    [sid] = [text["sid"] for text in texts.control.outbox() if text["message_sid"] == sent["message_sid"]]
    return str(sid)


async def test_a_text_goes_its_way(texts: Texts, look: Look) -> None:
    texts.becomes("delivered", step_s=3600)
    sent = texts.write()
    seen = []
    for _ in range(4):
        found = await look(sent)
        seen.append(found and found.status.value)
        texts.control.advance(3600)
    # A receipt cannot say "queued".
    first = "queued" if texts.stack == "chat" else None
    assert seen == [first, "sent", "delivered", "delivered"]
    assert await look(sent) == Delivery(DeliveryStatus.DELIVERED, None, sms_of(texts, sent))


@pytest.mark.parametrize(("status", "code"), [("undelivered", 30003), ("failed", 30034)])
async def test_a_text_that_does_not_arrive(texts: Texts, look: Look, status: str, code: int) -> None:
    texts.becomes(status, code)
    sent = texts.write()
    assert await look(sent) == Delivery(DeliveryStatus(status), code, sms_of(texts, sent))


async def test_a_customer_who_opted_out(texts: Texts, look: Look) -> None:
    texts.stop()
    sent = texts.write()
    found = await look(sent)
    assert (found.status, found.error_code) == ("failed", 21610)


async def test_a_receipt_that_comes_late(texts: Texts, look: Look) -> None:
    texts.becomes("delivered", step_s=3600)
    sent = texts.write()
    texts.control.advance(3601)
    assert (await look(sent)).status == "sent"
    texts.control.advance(3601)
    assert (await look(sent)).status == "delivered"


async def test_each_text_has_its_own_fate(texts: Texts, look: Look) -> None:
    texts.becomes("undelivered", 30005)
    lost = texts.write("One")
    texts.becomes("delivered")
    arrived = texts.write("Two")
    assert (await look(lost)).status == "undelivered"
    assert (await look(arrived)).status == "delivered"


async def test_what_never_left(texts: Texts, look: Look) -> None:
    texts.write("One")
    texts.disconnect()
    sent = texts.write("Two")
    texts.control.advance(60)
    assert await look(sent) is None
    assert len(texts.control.outbox()) == 1


@pytest.mark.parametrize(
    "fault",
    [
        {"action": "status", "status": 429, "times": 2},
        {"action": "status", "status": 503, "times": 2},
        {"action": "drop_after", "times": 1},
        {"action": "delay", "delay_ms": 1500, "times": 1},
    ],
    ids=["429", "503", "dropped", "slow"],
)
async def test_a_bad_moment_passes(texts: Texts, look: Look, fault: dict[str, Any]) -> None:
    texts.becomes("delivered")
    sent = texts.write()
    texts.control.fault(match=texts.look, **fault)
    assert (await look(sent)).status == "delivered"
    assert texts.control.faults()[0]["hits"] == fault["times"]


@pytest.mark.parametrize(("status", "error"), [(429, RateLimited), (500, ServiceUnavailable)])
async def test_a_bad_hour_is_worth_another_look(
    texts: Texts, look: Look, status: int, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flexsms.twilio.client.http_client.ATTEMPTS", 2)
    sent = texts.write()
    texts.control.fault(match=texts.look, action="status", status=status)
    with pytest.raises(error):
        await look(sent)


async def test_a_look_costs_one_call(texts: Texts, look: Look, calls: Callable[[], Counter[str]]) -> None:
    texts.becomes("delivered")
    sent = texts.write()
    texts.control.clear_journal()
    await look(sent)
    assert calls().total() == 1


class TestChat:
    """What only Proxy needs."""

    @pytest.fixture
    def texts(self, sandbox: SandboxProcess) -> Iterator[Texts]:
        with Texts(sandbox, "chat") as made:
            yield made

    async def test_an_old_xcom_does_not_name_the_session(self, texts: Texts, look: Look) -> None:
        texts.becomes("delivered")
        sent = {**texts.write(), "session_sid": None}
        assert (await look(sent)).status == "delivered"

    async def test_without_a_session_nothing_has_left(self, texts: Texts, look: Look) -> None:
        sent = texts.write()
        for session_sid in (None, "KC" + "0" * 32):
            gone = {**sent, "channel_sid": "CH" + "0" * 32, "session_sid": session_sid}
            assert await look(gone) is None

    async def test_without_its_service_nothing_can_be_said(
        self, texts: Texts, settings: TwilioSettings
    ) -> None:
        sent = texts.write()
        gone = replace(settings, session_service_sid="KS" + "0" * 32)
        async with connect(gone) as account:
            reader = account.deliveries(sent["session_sid"])
            with pytest.raises(ProductGone, match="session_service_sid"):
                await reader.delivery(sent["channel_sid"], sent["session_sid"], "IM1")

    async def test_no_more_pages_are_read_than_needed(
        self, texts: Texts, look: Look, calls: Callable[[], Counter[str]]
    ) -> None:
        sent = [texts.write(f"Text {number}") for number in range(101)]
        for index, pages in ((99, 1), (100, 2)):
            texts.control.clear_journal()
            assert await look(sent[index]) is not None
            # The sandbox may still write down a call that an earlier test has given up.
            assert {name: count for name, count in calls().items() if "proxy" in name} == {PAGE: pages}

    @pytest.mark.parametrize("status", [403, 404])
    async def test_a_key_that_may_not_read_the_sms_still_learns_its_fate(
        self, texts: Texts, look: Look, status: int
    ) -> None:
        texts.becomes("undelivered", 30003)
        sent = texts.write()
        texts.control.fault(match=SMS_LOG, action="status", status=status)
        assert await look(sent) == Delivery(DeliveryStatus.UNDELIVERED, None, sms_of(texts, sent))

    async def test_the_reason_is_asked_for_only_when_there_is_one(
        self, texts: Texts, look: Look, calls: Callable[[], Counter[str]]
    ) -> None:
        texts.becomes("undelivered", 30003)
        sent = texts.write()
        texts.control.clear_journal()
        await look(sent)
        assert calls()["GET api.twilio.com/2010-04-01/Accounts/{id}/Messages/{id}"] == 1
        assert calls().total() == 2


class TestConversations:
    """What only conversations can have."""

    @pytest.fixture
    def texts(self, sandbox: SandboxProcess) -> Iterator[Texts]:
        with Texts(sandbox, "conversations") as made:
            yield made

    async def test_what_is_gone_is_named(self, texts: Texts, look: Look) -> None:
        sent = {**texts.write(), "message_sid": "IM" + "0" * 32}
        with pytest.raises(NotFound, match="Receipts"):
            await look(sent)

    async def test_several_handsets_are_as_good_as_the_one_that_was_not_reached(
        self, texts: Texts, look: Look
    ) -> None:
        texts.becomes("undelivered", 30003)
        channel_sid = texts.write()["channel_sid"]
        texts.account.join(channel_sid, "+14155550143")
        found = await look(texts.write())
        assert (found.status, found.error_code) == ("undelivered", 30003)
        both = [text["to"] for text in texts.control.outbox()][1:]
        assert sorted(both) == [CUSTOMER, "+14155550143"]


async def test_a_text_is_looked_for_where_it_went(sandbox: SandboxProcess, settings: TwilioSettings) -> None:
    # The account has moved to the other stack since.
    with Texts(sandbox, "chat") as texts:
        sent = texts.write()
    async with connect(replace(settings, stack=StackName.CONVERSATIONS)) as account:
        reader = account.deliveries(sent["session_sid"])
        found = await reader.delivery(sent["channel_sid"], sent["session_sid"], sent["message_sid"])
    assert found is not None
