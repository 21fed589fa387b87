"""Opt-outs that a stream tells are stored before a page is handed on, whatever goes wrong on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Callable
from typing import TYPE_CHECKING, Any

import pytest

from flexsms.core.event_source import EventPage
from flexsms.core.exceptions import PermanentError, RetryableError
from flexsms.core.inbound_messages import OptOutWord
from flexsms.core.opt_out import Why
from flexsms.core.task_events import to_ms
from flexsms.twilio.account import Account, connect
from flexsms.twilio.sync.digest_key import DOCUMENT
from flexsms.twilio.tracking.opt_outs import LearningSource

if TYPE_CHECKING:
    from flexsms.sandbox.client import SandboxProcess

pytestmark = pytest.mark.anyio

CUSTOMER, OTHER = "+14155550199", "+14155550198"
MESSAGE = {"method": "GET", "host": "api.twilio.com", "path": "/Messages/"}
STORE = {"method": "POST", "host": "sync.twilio.com", "path": r"/Maps/flexsms\.suppressions\."}


class Pages:
    """A source of the pages it is given."""

    name = "inbox"
    scope = "0123456789abcdef"

    def __init__(self, *pages: EventPage) -> None:
        self._pages = pages
        self.stored = 0

    async def read(self, cursor: str | None) -> AsyncGenerator[EventPage, None]:
        for page in self._pages:
            yield page
            self.stored += 1


class Customer:
    """Writes, and tells what Event Streams tells of it."""

    def __init__(self, account: Account, sandbox: SandboxProcess, clock: Any) -> None:
        self._account, self._sandbox, self._clock = account, sandbox, clock

    async def says(self, body: str, number: str = CUSTOMER) -> OptOutWord:
        self._clock.advance(minutes=1)
        to = self._sandbox.settings["numbers"]["conversations"]
        self._sandbox.control.customer(number, to, body)
        messages = self._account.client.api.v2010.accounts(self._account.settings.account_sid).messages
        newest = (await messages.list_async(from_=number, to=to, limit=1))[0]
        return OptOutWord(str(newest.sid), to_ms("at", self._clock()), body == "STOP")


@pytest.fixture
async def customer(account: Account, sandbox: SandboxProcess, clock: Any) -> Customer:
    await account.number_digest()
    return Customer(account, sandbox, clock)


def learning(account: Account, *pages: EventPage) -> LearningSource:
    return LearningSource(Pages(*pages), account.suppressions(), at_once=4)


async def read(source: LearningSource) -> list[EventPage]:
    return [page async for page in source.read(None)]


async def test_the_latest_word_counts_in_whatever_order_they_come(
    account: Account, customer: Customer
) -> None:
    stop, start, other = (
        await customer.says("STOP"),
        await customer.says("START"),
        await customer.says("STOP", OTHER),
    )
    page = EventPage(opt_outs=[start, other, stop, start], cursor="c")
    [handed_on] = await read(learning(account, page))
    assert (Counter(handed_on.opt_outs), handed_on.cursor) == (Counter([stop, start, other]), "c")
    suppressions = account.suppressions()
    assert not await suppressions.is_out(CUSTOMER)
    known = await suppressions.find(OTHER)
    assert known is not None
    assert (known.out, known.why, known.at_ms) == (True, Why.STOP, other.at_ms)


async def test_a_word_costs_two_calls_and_a_page_without_one_none(
    account: Account, customer: Customer, sandbox: SandboxProcess, calls: Callable[[], Counter[str]]
) -> None:
    words = [await customer.says("STOP"), await customer.says("START")]
    await read(learning(account, EventPage(opt_outs=words[:1])))
    sandbox.control.clear_journal()
    await read(learning(account, EventPage(), EventPage(cursor="c")))
    assert not calls()
    await read(learning(account, EventPage(opt_outs=words[:1])))
    assert calls().total() == 1 + 2  # known already
    sandbox.control.clear_journal()
    await read(learning(account, EventPage(opt_outs=words[1:])))
    assert calls().total() == 1 + 3


@pytest.mark.parametrize("match", [MESSAGE, STORE], ids=["message", "store"])
@pytest.mark.parametrize("action", ["drop_before", "drop_after", "drop_midway", "status"])
async def test_a_lost_answer_loses_no_opt_out(
    account: Account, customer: Customer, sandbox: SandboxProcess, match: dict[str, str], action: str
) -> None:
    word = await customer.says("STOP")
    sandbox.control.fault(match=match, times=1, action=action, status=503)
    await read(learning(account, EventPage(opt_outs=[word])))
    assert await account.suppressions().is_out(CUSTOMER)


@pytest.mark.parametrize(
    ("match", "status", "error"),
    [(MESSAGE, 503, RetryableError), (STORE, 503, RetryableError), (STORE, 403, PermanentError)],
    ids=["nobody tells the number", "nobody stores", "storing is refused"],
)
async def test_what_could_not_be_stored_is_not_handed_on(
    account: Account,
    customer: Customer,
    sandbox: SandboxProcess,
    match: dict[str, str],
    status: int,
    error: type[Exception],
) -> None:
    word = await customer.says("STOP")
    sandbox.control.fault(match=match, action="status", status=status, code=20003 if status == 403 else None)
    pages = Pages(EventPage(opt_outs=[word], cursor="c"))
    with pytest.raises(error):
        await read(LearningSource(pages, account.suppressions(), at_once=4))
    assert pages.stored == 0
    sandbox.control.clear_faults()
    await read(LearningSource(pages, account.suppressions(), at_once=4))
    assert (pages.stored, await account.suppressions().is_out(CUSTOMER)) == (1, True)


@pytest.mark.parametrize("status", [403, 404])
async def test_one_refusal_to_tell_the_number_loses_no_opt_out(
    account: Account, customer: Customer, sandbox: SandboxProcess, status: int
) -> None:
    word = await customer.says("STOP")
    sandbox.control.fault(match=MESSAGE, action="status", status=status, times=1)
    [handed_on] = await read(learning(account, EventPage(opt_outs=[word])))
    assert (list(handed_on.opt_outs), list(handed_on.rejected)) == ([word], [])
    assert await account.suppressions().is_out(CUSTOMER)


async def test_a_lost_key_forgets_nobody(account: Account, settings: Any, customer: Customer) -> None:
    await read(learning(account, EventPage(opt_outs=[await customer.says("STOP")])))
    documents = account.client.sync.v1.services(account.settings.need("sync_service_sid")).documents
    await documents(DOCUMENT).delete_async()
    async with connect(settings) as elsewhere:
        with pytest.raises(PermanentError, match="is gone; put it back"):
            await read(learning(elsewhere, EventPage(opt_outs=[await customer.says("START")])))


@pytest.mark.parametrize("fault", ["unknown", "refused", "redacted"])
async def test_a_message_that_twilio_does_not_tell_is_named_and_holds_up_nobody(
    account: Account, customer: Customer, sandbox: SandboxProcess, fault: str
) -> None:
    word, other = await customer.says("STOP"), await customer.says("STOP", OTHER)
    if fault == "unknown":
        word = OptOutWord("SM" + "f" * 32, word.at_ms, out=True)
    elif fault == "refused":
        match = {**MESSAGE, "path": word.message_sid}
        sandbox.control.fault(match=match, action="status", status=403, code=70051, message="No")
    else:
        match = {**MESSAGE, "path": word.message_sid}
        sandbox.control.fault(match=match, action="mangle", put={"from": "+1415555XXXX"})
    page = EventPage(opt_outs=[word, other], rejected=["event 1: no"], cursor="c")
    [handed_on] = await read(learning(account, page))
    assert list(handed_on.opt_outs) == [other]
    first, second = handed_on.rejected
    assert (first, second[:34]) == ("event 1: no", word.message_sid)
    assert "who has opted out is not known" in second
    assert await account.suppressions().is_out(OTHER)
    assert not await account.suppressions().is_out(CUSTOMER)


async def test_it_is_the_source_that_it_reads(account: Account) -> None:
    source = learning(account)
    assert (source.name, source.scope) == (Pages.name, Pages.scope)
