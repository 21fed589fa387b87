"""An answer that is none is one failure of the tree, whatever the request: B3, R10, and what a status alone says."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twilio.base.exceptions import TwilioException

from flexsms.core.exceptions import (
    AlreadyExists,
    FlexSmsError,
    NotFound,
    OutcomeUnknown,
    RevisionMismatch,
    ServiceUnavailable,
    TwilioRefused,
    Unexpected,
)
from flexsms.twilio.account import Account, connect
from flexsms.twilio.client import clock
from flexsms.twilio.client.endpoints import REPEATABLE_POSTS
from flexsms.twilio.client.response_schemas import PAGES, THINGS, what_is_wrong
from flexsms.twilio.client.settings import TwilioSettings
from flexsms.twilio.client.unexpected_errors import contained
from tests.support.peer import DOCUMENT, DOCUMENT_JSON, Peer, answers, hangs_up, refuses, says

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio

ACCOUNT, SERVICE, CHANNEL = "AC" + "1" * 32, "IS" + "2" * 32, "CH" + "3" * 32
Call = Callable[[Account], Awaitable[Any]]
DELETED = answers("", status=204)
SENT = says(201, {"sid": "IM" + "1" * 32})


@pytest.fixture(autouse=True)
def two_tries_without_a_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flexsms.twilio.client.http_client.ATTEMPTS", 2)
    monkeypatch.setattr("flexsms.twilio.client.http_client._backoff", lambda _: 0.0)


@pytest.fixture
async def account(peer: Peer) -> AsyncIterator[Account]:
    extra = {"base_url": peer.base_url, "timeout_s": 0.4, "rate_limits": "off"}
    async with connect(TwilioSettings.from_connection(ACCOUNT, "secret", extra)) as connected:
        yield connected


def documents(account: Account) -> Any:
    return account.client.sync.v1.services(SERVICE).documents


def fetch(account: Account) -> Awaitable[Any]:
    return documents(account)("x").fetch_async()


def listed(account: Account) -> Awaitable[Any]:
    return documents(account).list_async()


def delete(account: Account) -> Awaitable[Any]:
    return documents(account)("x").delete_async()


def create(account: Account) -> Awaitable[Any]:
    return documents(account).create_async(unique_name="x")


def post_text(account: Account) -> Awaitable[Any]:
    return account.client.conversations.v1.conversations(CHANNEL).messages.create_async(body="Hello")


def open_interaction(account: Account) -> Awaitable[Any]:
    return account.client.flex_api.v1.interaction.create_async(channel={}, routing={})


META = {"key": "documents", "page": 0, "page_size": 50, "next_page_url": None}
EMPTY_PAGE = says(200, {"documents": [], "meta": META})
HTML = "<!doctype html><title>Please log in</title>"
NO_OBJECT = [
    pytest.param('{"sid": "CH', id="cut off"),
    pytest.param(HTML, id="HTML"),
    pytest.param("[1]", id="a list"),
    pytest.param('"IM1"', id="a text"),
    pytest.param("null", id="null"),
    pytest.param("", id="nothing"),
    pytest.param("[" * 100_000, id="too deep"),
    pytest.param('{"sid": ' + "1" * 5000 + "}", id="too long a number"),
]


@pytest.mark.parametrize("text", NO_OBJECT)
@pytest.mark.parametrize(
    ("call", "good"),
    [(fetch, DOCUMENT), (listed, EMPTY_PAGE), (create, DOCUMENT), (delete, DELETED)],
    ids=["fetch", "list", "create", "delete"],
)
async def test_an_odd_answer_to_what_may_be_repeated_is_repeated(
    peer: Peer, account: Account, call: Call, good: Any, text: str
) -> None:
    # Nothing with 200 is the one odd answer that could be taken for that of a DELETE.
    odd = answers(text)
    peer.answers(odd, good)
    await call(account)
    assert len(peer.seen) == 2
    peer.answers(odd)
    with pytest.raises(ServiceUnavailable, match="it may be repeated"):
        await call(account)


@pytest.mark.parametrize("text", NO_OBJECT)
@pytest.mark.parametrize("call", [post_text, open_interaction])
async def test_after_an_odd_answer_to_a_text_nobody_knows(
    peer: Peer, account: Account, call: Call, text: str
) -> None:
    peer.answers(answers(text))
    with pytest.raises(OutcomeUnknown, match="it may have been applied"):
        await call(account)
    assert len(peer.seen) == 1


@pytest.mark.parametrize(
    "body",
    [{}, {"sid": None}, {"sid": ""}, {"sid": 7}, {"sid": "None"}, {"sid": "../x"}],
    ids=lambda body: json.dumps(body),
)
async def test_a_sid_that_is_none_never_becomes_a_text(
    peer: Peer, account: Account, body: dict[str, Any]
) -> None:
    peer.answers(says(201, body))
    with pytest.raises(OutcomeUnknown, match="no proper sid"):
        await post_text(account)


@pytest.mark.parametrize(
    "body",
    [
        {"sid": "KD1"},
        {"sid": "KD1", "routing": None, "channel": {}},
        {"sid": "KD1", "routing": None, "channel": {"sid": None}},
        {"sid": "KD1", "routing": [], "channel": {"sid": "UO1"}},
    ],
)
async def test_fields_inside_of_fields_are_looked_at_as_well(
    peer: Peer, account: Account, body: dict[str, Any]
) -> None:
    peer.answers(says(201, body))
    with pytest.raises(OutcomeUnknown):
        await open_interaction(account)


@pytest.mark.parametrize(
    "page",
    [
        {},
        {"documents": []},
        {"meta": META},
        {"documents": None, "meta": META},
        {"documents": {}, "meta": META},
        {"documents": [7], "meta": META},
        {"documents": [[]], "meta": META},
        {"documents": [{}], "meta": META},
        {"documents": [{**DOCUMENT_JSON, "revision": None}], "meta": META},
        {"documents": [], "meta": []},
        {"documents": [], "meta": {**META, "key": "items"}},
        {"documents": [], "meta": {"key": "documents"}},
        {"documents": [], "meta": {**META, "next_page_url": 7}},
    ],
    ids=str,
)
async def test_a_page_that_is_none(peer: Peer, account: Account, page: dict[str, Any]) -> None:
    peer.answers(says(200, page))
    with pytest.raises(ServiceUnavailable):
        await listed(account)


async def test_a_page_that_leads_to_itself(peer: Peer, account: Account) -> None:
    url = f"https://sync.twilio.com/v1/Services/{SERVICE}/Documents?PageToken=x"
    peer.answers(says(200, {"documents": [], "meta": {**META, "next_page_url": url}}))
    with pytest.raises(ServiceUnavailable, match="leads to itself"):
        await listed(account)


async def test_a_page_of_what_flexsms_does_not_know_has_to_be_one_too(peer: Peer, account: Account) -> None:
    def lists() -> Awaitable[Any]:
        return account.client.studio.v2.flows.list_async()

    peer.answers(says(200, {"flows": None, "meta": {**META, "key": "flows"}}))
    with pytest.raises(ServiceUnavailable):
        await lists()
    peer.answers(says(200, {"flows": [], "meta": {**META, "key": "flows"}}))
    assert await lists() == []


async def test_a_task_without_its_attributes_is_not_one_of_no_channel(peer: Peer, account: Account) -> None:
    """The guard of cleanup asks for the channels of open tasks: one that it cannot tell may be any."""
    workspace: Any = account.client.taskrouter.v1.workspaces("WS" + "1" * 32)
    for attributes in ("", '{"channelSid": "CH'):
        task = {"sid": "WT1", "attributes": attributes}
        peer.answers(says(200, {"tasks": [task], "meta": {**META, "key": "tasks"}}))
        with pytest.raises(ServiceUnavailable, match="no proper attributes"):
            await workspace.tasks.list_async()
    for attributes in (None, "", '{"channelSid": "CH', "[]"):
        peer.answers(says(200, {"sid": "WT1", "attributes": attributes}))
        with pytest.raises(ServiceUnavailable, match="no proper attributes"):
            await workspace.tasks("WT" + "1" * 32).fetch_async()


async def test_half_an_emoji_is_no_odd_answer(peer: Peer, account: Account) -> None:
    """A text cut in the middle of one is JSON all the same."""
    peer.answers(answers(json.dumps({**DOCUMENT_JSON, "data": {"x": "\ud83d"}})))
    assert (await fetch(account)).data == {"x": "\ud83d"}


def test_the_table_tells_of_all_that_may_be_repeated() -> None:
    """What is repeated can be called, so it is in the table."""
    known = {*THINGS, *PAGES}
    not_read = {"POST events.twilio.com/v1/Sinks/{id}/Validate"}
    not_read |= {"POST events.twilio.com/v1/Subscriptions/{id}/SubscribedEvents/{id}"}
    assert known >= REPEATABLE_POSTS.keys() - not_read


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from([*THINGS, *PAGES]), JSON, st.data())
@settings(max_examples=200, deadline=None)
def test_whatever_comes_is_judged_and_a_good_answer_damaged_in_one_field_is_none(
    name: str, value: Any, data: st.DataObject
) -> None:
    assert isinstance(what_is_wrong(name, "https://x", 200, json.dumps(value)), str)
    if name in PAGES:
        return
    wanted = data.draw(st.sampled_from([*THINGS[name]]))
    damaged = {field: _good(field) for field in THINGS[name] if field != wanted}
    assert what_is_wrong(name, "https://x", 200, json.dumps(damaged)) == f"the answer has no proper {wanted}"


def _good(field: str) -> Any:
    if field.endswith("sid"):
        return "XX" + "0" * 32
    if field in ("data", "sink_configuration", "integration", "routing"):
        return {}
    if field == "messages":
        return []
    if field == "channel":
        return {"sid": "UO" + "0" * 32}
    if field == "attributes":
        return "{}"
    return 7 if field in ("messages_count", "error_code") else "x"


# Whoever meets what no check knows


@pytest.mark.parametrize(
    "error",
    [
        TwilioException("HTTP 200 +14155550101"),
        KeyError("x"),
        RecursionError(),
        json.JSONDecodeError("x", "y", 0),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_nobody_foresaw_is_in_the_tree_and_quotes_nothing(error: Exception, caplog: Any) -> None:
    with pytest.raises(Unexpected, match=r"test_response_schemas\.py, line \d+") as caught, contained():
        raise error
    assert caught.value.__suppress_context__
    assert "0101" not in str(caught.value) + caplog.text


@pytest.mark.parametrize("error", [NotFound("x"), AssertionError("x"), RuntimeError("x")])
def test_all_else_stays_as_it_is(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, contained():
        raise error
    assert caught.value is error


async def test_nothing_outside_the_tree_leaves_an_account(peer: Peer) -> None:
    """The SDK splits a date of the oldest API that is none, and falls over it."""
    text = {"sid": "SM1", "error_code": None, "date_created": "Mon, 99 Nov 2026 10:00:00 +0000"}
    peer.answers(says(200, {**text, "date_updated": None, "date_sent": None}))
    with pytest.raises(Unexpected):
        await read_a_text(peer)


async def read_a_text(peer: Peer) -> None:
    extra = {"base_url": peer.base_url}
    async with connect(TwilioSettings.from_connection(ACCOUNT, "secret", extra)) as account:
        message: Any = account.client.api.v2010.accounts(ACCOUNT).messages("SM" + "1" * 32)
        await message.fetch_async()


# Codes before status


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(answers(HTML, 404, "text/html"), id="HTML"),
        pytest.param(answers("", 404), id="nothing"),
        pytest.param(says(404, {"message": "no route"}), id="no code"),
        pytest.param(refuses(404, 404), id="the status as a code"),
        pytest.param(refuses(404, 12345), id="an unknown code"),
        pytest.param(says(404, {"code": "20404"}), id="a code that is a text"),
    ],
)
async def test_an_unknown_404_is_no_proof_that_a_thing_is_gone(
    peer: Peer, account: Account, answer: Any
) -> None:
    peer.answers(answer, DOCUMENT)
    assert (await fetch(account)).unique_name == "x"
    peer.answers(answer)
    with pytest.raises(ServiceUnavailable):
        await fetch(account)
    with pytest.raises(OutcomeUnknown):
        await post_text(account)


@pytest.mark.parametrize("code", [20404, 54100, 54300])
async def test_a_404_with_a_code_that_means_it_is(peer: Peer, account: Account, code: int) -> None:
    peer.answers(refuses(404, code))
    with pytest.raises(NotFound):
        await fetch(account)
    assert len(peer.seen) == 1


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (409, 54301, AlreadyExists),
        (400, 54301, AlreadyExists),
        (409, 50353, AlreadyExists),
        (409, 80623, ServiceUnavailable),
        (409, 80802, ServiceUnavailable),
        (409, 20409, ServiceUnavailable),
        (409, 99999, ServiceUnavailable),
        (400, 80604, TwilioRefused),
        (409, 80604, TwilioRefused),
        (412, 54103, RevisionMismatch),
        (412, 99999, ServiceUnavailable),
        (408, 408, ServiceUnavailable),
        (408, 20408, ServiceUnavailable),
        (400, 20001, TwilioRefused),
    ],
)
async def test_the_code_says_what_happened(
    peer: Peer, account: Account, status: int, code: int, kind: type[FlexSmsError]
) -> None:
    peer.answers(refuses(status, code))
    with pytest.raises(kind) as caught:
        await create(account)
    assert type(caught.value) is kind


@pytest.mark.parametrize("code", [80623, 80802])
async def test_wait_and_repeat_holds_for_what_must_not_be_repeated_otherwise(
    peer: Peer, account: Account, code: int
) -> None:
    peer.answers(refuses(409, code), SENT)
    assert (await post_text(account)).sid
    assert len(peer.seen) == 2


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(answers(HTML, 400, "text/html"), id="400"),
        pytest.param(answers(HTML, 408, "text/html"), id="408"),
        pytest.param(refuses(408, 20408), id="408 of Twilio's"),
        pytest.param(answers(HTML, 409, "text/html"), id="409"),
        pytest.param(answers(HTML, 412, "text/html"), id="412"),
        pytest.param(answers("", 302), id="302"),
    ],
)
async def test_a_text_is_refused_for_certain_only_by_twilio_itself(
    peer: Peer, account: Account, answer: Any
) -> None:
    """B22: whoever takes a 408 for a refusal sends the text a second time."""
    peer.answers(answer)
    with pytest.raises(OutcomeUnknown):
        await post_text(account)
    assert len(peer.seen) == 1


async def test_retry_after_may_name_the_moment(
    peer: Peer, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flexsms.twilio.client.http_client.ATTEMPTS", 1)
    now = clock.utc_now().replace(microsecond=0)
    monkeypatch.setattr(clock, "utc_now", lambda: now)
    for value, seconds in [
        (format_datetime(now.replace(year=now.year + 1), usegmt=True), 86_400 * 365),
        (format_datetime(now.replace(year=now.year - 1), usegmt=True), 0),
        ("2.5", 2.5),
        ("soon", None),
        ("²", None),
        ("-1", None),
    ]:
        peer.answers(refuses(429, 20429, headers={"Retry-After": value}))
        with pytest.raises(FlexSmsError) as caught:
            await fetch(account)
        asked = getattr(caught.value, "retry_after", 0)
        assert asked == pytest.approx(seconds, abs=86_400) if seconds else asked == seconds


# B2: a DELETE is repeated, and what it meets then is its own work


@pytest.mark.parametrize(
    "lost",
    [hangs_up, answers(HTML), answers(""), refuses(503, 20503), answers(HTML, 404, "text/html")],
    ids=["cut", "HTML", "nothing", "503", "HTML with 404"],
)
async def test_a_repeated_delete_that_finds_nothing_has_done_its_work(
    peer: Peer, account: Account, lost: Any
) -> None:
    peer.answers(lost, refuses(404, 54100))
    assert await delete(account)
    assert [method for method, _, _ in peer.seen] == ["DELETE", "DELETE"]


@pytest.mark.parametrize("before", [refuses(429, 20429), refuses(409, 20409)])
async def test_a_first_delete_that_finds_nothing_says_so(peer: Peer, account: Account, before: Any) -> None:
    peer.answers(refuses(404, 54100))
    with pytest.raises(NotFound):
        await delete(account)
    peer.answers(before, refuses(404, 54100))
    with pytest.raises(NotFound):
        await delete(account)


async def test_another_request_that_finds_nothing_the_second_time_has_not(
    peer: Peer, account: Account
) -> None:
    peer.answers(hangs_up, refuses(404, 54100))
    with pytest.raises(NotFound):
        await fetch(account)
