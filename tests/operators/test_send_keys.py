"""Which key a text is sent under when nobody gives one, and what is told of a key that was used before."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from flexsms.core.exceptions import InvalidInput
from flexsms.operators.send import FlexSendOperator
from flexsms.sandbox.client import SandboxProcess
from flexsms.twilio.sending.idempotency import MAP_PREFIX

from .conftest import FakeContext

FROM = "+14155550100"
ANN, BOB, CY = "+14155550111", "+14155550112", "+14155550113"
Connection = Callable[..., None]


async def send(to_number: str, context: Any, body: str = "Hello", **more: Any) -> dict[str, Any]:
    arguments = {"task_id": "send", "from_number": FROM, "to_number": to_number, "body": body, **more}
    result: dict[str, Any] = await FlexSendOperator(**arguments).aexecute(context)
    return result


async def expand(rows: list[str], tries: int, **more: Any) -> list[dict[str, Any]]:
    """One try of all rows of a mapped task."""
    return [
        await send(row, FakeContext("send", map_index=index, try_number=tries), **more)
        for index, row in enumerate(rows)
    ]


def texted(sandbox: SandboxProcess) -> list[str]:
    return sorted(text["to"] for text in sandbox.control.outbox())


async def test_a_list_in_another_order_is_sent_once_a_row(
    connection: Connection, sandbox: SandboxProcess
) -> None:
    """Row 0 was sent, row 1 was not; then the list comes again without the one and with another."""
    [first] = await expand([ANN], 1)
    bob, cy = await expand([BOB, CY], 2)
    assert texted(sandbox) == [ANN, BOB, CY]
    assert [first["duplicate"], bob["duplicate"], cy["duplicate"]] == [False, False, False]


@pytest.mark.parametrize("order", list(itertools.permutations([ANN, BOB, CY]))[1:], ids=str)
async def test_in_whatever_order_the_same_rows_come_again_none_is_sent_twice(
    order: tuple[str, ...], connection: Connection, sandbox: SandboxProcess
) -> None:
    await expand([ANN, BOB, CY], 1)
    again = await expand(list(order), 2)
    assert all(one["duplicate"] for one in again)
    assert texted(sandbox) == [ANN, BOB, CY]


async def test_a_secret_that_was_changed_between_two_tries_sends_nothing_twice(
    connection: Connection, sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    await expand([ANN, BOB], 1)
    from flexsms.twilio.sending.idempotency import SendLedger

    made = SendLedger.__init__
    monkeypatch.setattr(
        SendLedger, "__init__", lambda self, *args, **more: made(self, *args, **{**more, "secret": "rotated"})
    )
    assert all(one["duplicate"] for one in await expand([BOB, ANN], 2))
    assert texted(sandbox) == [ANN, BOB]


async def test_the_same_text_twice_to_one_number_in_one_list_is_sent_once(
    connection: Connection, sandbox: SandboxProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = await expand([ANN, ANN], 1)
    assert (one["duplicate"], two["duplicate"]) == (False, True)
    assert texted(sandbox) == [ANN]
    assert two["sent_by"] == "dag/manual__1/send/0"
    told = capsys.readouterr().out
    assert "[warning" in told
    assert "Nothing sent: dag/manual__1/send/0 was first, at 20" in told


async def test_two_texts_to_one_number_in_one_list_are_two(
    connection: Connection, sandbox: SandboxProcess
) -> None:
    await send(ANN, FakeContext("send", map_index=0), body="Your glasses are ready.")
    await send(ANN, FakeContext("send", map_index=1), body="Your lenses are ready.")
    assert texted(sandbox) == [ANN, ANN]


async def test_a_key_of_ones_own_outranks_the_row(connection: Connection, sandbox: SandboxProcess) -> None:
    for key, index in (("a", 0), ("b", 1)):
        await send(ANN, FakeContext("send", map_index=index), idempotency_key=key)
    assert texted(sandbox) == [ANN, ANN]


async def test_what_an_earlier_version_sent_by_the_index_is_not_sent_again(
    connection: Connection, sandbox: SandboxProcess
) -> None:
    """Begun before an upgrade, tried again after it."""
    await send(ANN, FakeContext("send", map_index=0), idempotency_key="dag/manual__1/send/0")
    ann, bob = await expand([ANN, BOB], 2)
    assert (ann["duplicate"], bob["duplicate"]) == (True, False)
    assert texted(sandbox) == [ANN, BOB]


async def test_a_first_try_does_not_pay_for_earlier_versions(
    connection: Connection, sandbox: SandboxProcess
) -> None:
    sandbox.control.clear_journal()
    await expand([ANN], 1)
    looks = [
        call for call in sandbox.control.journal() if call["method"] == "GET" and MAP_PREFIX in call["path"]
    ]
    assert looks == []


async def test_no_number_is_in_sync(connection: Connection, sandbox: SandboxProcess) -> None:
    await expand([ANN, BOB], 1)
    maps = json.dumps(sandbox.control.state()["tables"]["map_items"])
    for number in (FROM, ANN, BOB):
        assert number[1:] not in maps


async def test_a_text_of_another_airflow_under_this_name_is_no_plain_success(
    connection: Connection, sandbox: SandboxProcess
) -> None:
    """The same DAG for the same date in staging and production, or a run that was deleted and made again."""
    sent = await send(ANN, FakeContext("send"))
    context = FakeContext("send")
    with pytest.raises(
        AirflowSkipException, match=r"Nothing sent: dag/manual__1/send/-1 was first, at .*another Airflow"
    ):
        await send(ANN, context)
    assert texted(sandbox) == [ANN]
    left = context.pushed["return_value"]
    assert left == {**sent, "duplicate": True, "sent_by": "dag/manual__1/send/-1"}
    assert left["sent_at"][:4].isdigit()


async def test_with_another_text_it_says_whose_the_first_one_was(connection: Connection) -> None:
    await send(ANN, FakeContext("send"))
    with pytest.raises(
        InvalidInput, match=r"used for another text, by dag/manual__1/send/-1 at \d{4}-.*; choose a new"
    ):
        await send(ANN, FakeContext("send"), body="Something else")


async def test_a_try_after_the_first_is_one_of_ours(
    connection: Connection, sandbox: SandboxProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    await send(ANN, FakeContext("send"))
    capsys.readouterr()
    assert (await send(ANN, FakeContext("send", try_number=2)))["duplicate"]
    [line] = [line for line in capsys.readouterr().out.splitlines() if "Nothing sent" in line]
    assert "[info" in line
    assert texted(sandbox) == [ANN]


async def test_a_key_that_others_may_use_stays_green_and_warns(
    connection: Connection, sandbox: SandboxProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever gives a key wants one text, whoever is first."""
    await send(ANN, FakeContext("first"), idempotency_key="order-4711")
    second = await send(ANN, FakeContext("second"), idempotency_key="order-4711")
    assert (second["duplicate"], second["sent_by"]) == (True, "dag/manual__1/first/-1")
    [line] = [line for line in capsys.readouterr().out.splitlines() if "Nothing sent" in line]
    assert "[warning" in line
