"""The demo's own judgement: it has to notice every way in which a cleanup can be wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from flexsms.demo.expectations import Cleaned, problems_of_delivery, problems_of_sending
from flexsms.demo.report import Role, problems_of_roles
from flexsms.demo.sandbox_state import Channel

DAYS = 2


def retire(channel: Channel, **more: Any) -> Channel:
    attributes = {**channel.attributes, "status": "INACTIVE", "long_lived": False, **more}
    return replace(channel, attributes=attributes, parts=dict.fromkeys(channel.parts, "closed"))


def due(before: Mapping[str, Channel], now: float) -> set[str]:
    return {sid for sid, channel in before.items() if channel.due(now, DAYS)}


def cleaned(
    before: dict[str, Channel], now: float, changes: Mapping[str, Channel] | None = None, **summary: Any
) -> Cleaned:
    """A perfect cleanup, with `changes` to what it left behind and to what it reports."""
    expected = due(before, now)
    after = {sid: retire(channel) if sid in expected else channel for sid, channel in before.items()}
    after.update(changes or {})
    done = [sid for sid, channel in after.items() if channel.retired and not before[sid].retired]
    return Cleaned(
        started=now,
        ended=now,
        before=before,
        after=after,
        summary={"deactivated": len(done), "failed": 0, "failures": [], **summary},
        calls=(),
    )


def test_a_perfect_cleanup_has_no_problem(before: dict[str, Channel], now: float) -> None:
    assert list(cleaned(before, now).problems(DAYS)) == []


def test_a_channel_that_comes_due_meanwhile_may_be_either(
    before: dict[str, Channel], now: float, sids: dict[str, str]
) -> None:
    ada = sids["ada"]
    retired, kept = cleaned(before, now), cleaned(before, now, {ada: before[ada]})
    assert list(kept.problems(DAYS))
    for either in (retired, kept):
        assert list(replace(either, started=now - 1.5 * 86_400).problems(DAYS)) == []


def test_what_was_due_and_is_still_live(before: dict[str, Channel], now: float, sids: dict[str, str]) -> None:
    ada = sids["ada"]
    done = retire(before[ada])
    for half_done in (
        before[ada],
        *(replace(done, parts={**done.parts, part: was}) for part, was in before[ada].parts.items()),
        retire(before[ada], long_lived=True),
        retire(before[ada], status="ACTIVE"),
    ):
        [problem] = cleaned(before, now, {ada: half_done}).problems(DAYS)
        assert problem.startswith(f"{ada} was due and is not retired")


def test_what_was_live_and_was_touched(before: dict[str, Channel], now: float, sids: dict[str, str]) -> None:
    ben = sids["ben"]
    for touched in (
        retire(before[ben]),
        *(replace(before[ben], parts={**before[ben].parts, part: "closed"}) for part in before[ben].parts),
    ):
        [problem] = cleaned(before, now, {ben: touched}).problems(DAYS)
        assert problem.startswith(f"{ben} was not due and was touched")


def test_attributes_of_others_that_were_lost(
    before: dict[str, Channel], now: float, sids: dict[str, str]
) -> None:
    ada = sids["ada"]
    theirs = replace(before[ada], attributes={**before[ada].attributes, "vip": ["ä", None]})
    bare = replace(retire(theirs), attributes={"status": "INACTIVE", "long_lived": False})
    [problem] = cleaned({**before, ada: theirs}, now, {ada: bare}).problems(DAYS)
    assert problem.startswith(f"{ada} lost attributes that are not ours")


def test_a_channel_that_is_gone(before: dict[str, Channel], now: float, sids: dict[str, str]) -> None:
    done = cleaned(before, now)
    after = {sid: channel for sid, channel in done.after.items() if sid != sids["cleo"]}
    [problem] = replace(done, after=after).problems(DAYS)
    assert problem == f"{sids['cleo']} is gone, though nothing was to be deleted."


@pytest.mark.parametrize("summary", [{"deactivated": 3}, {"deactivated": None}, {"failed": 1}])
def test_a_report_that_does_not_fit(summary: dict[str, Any], before: dict[str, Channel], now: float) -> None:
    [problem] = cleaned(before, now, **summary).problems(DAYS)
    assert problem.startswith("Cleanup reports")


def test_newly_retired_leaves_out_what_was_retired_before(before: dict[str, Channel], now: float) -> None:
    expected = due(before, now)
    earlier = {sid for sid in expected if before[sid].retired}
    assert earlier
    assert cleaned(before, now).newly_retired == expected - earlier


def test_a_repetition_that_does_nothing(before: dict[str, Channel], now: float) -> None:
    calm = Cleaned(now, now, before, before, {"deactivated": 0}, ({"method": "GET", "path": "/v1/x"},))
    assert list(calm.problems_of_repetition()) == []


def test_a_repetition_that_does_anything(
    before: dict[str, Channel], now: float, sids: dict[str, str]
) -> None:
    call = {"method": "POST", "path": "/v1/Services/IS1/Documents/x"}
    after = {**before, sids["ada"]: retire(before[sids["ada"]])}
    restless = Cleaned(now, now, before, after, {"deactivated": 1}, (call,))
    assert [problem.split(":")[0].split(",")[0] for problem in restless.problems_of_repetition()] == [
        "The second cleanup retired channels again",
        "The second cleanup made 1 write calls",
        f"The second cleanup touched {sids['ada']}.",
    ]


def test_texts_leave_exactly_once() -> None:
    texts = [("+14155550164", "Hello"), ("+14155550165", "Hi")]
    outbox = [{"to": "+14155550164", "body": "Hello"}, {"to": "+14155550165", "body": "Hi"}]
    assert list(problems_of_sending(texts, outbox)) == []
    assert list(problems_of_sending(texts, outbox[:1])) == ["The text to …0165 left 0 times instead of once."]
    assert list(problems_of_sending(texts, [*outbox, outbox[0]])) == [
        "The text to …0164 left 2 times instead of once."
    ]


def test_what_is_said_of_a_delivery_is_so() -> None:
    outbox = [{"sid": "SM1", "status": "delivered"}, {"sid": "SM2", "status": "undelivered"}]
    right = [{"sms_sid": "SM1", "status": "delivered"}]
    assert list(problems_of_delivery(right, outbox)) == []
    wrong = [{"sms_sid": sid, "status": "delivered"} for sid in ("SM2", "SM3", None)]
    assert [problem.split(" and is ")[1] for problem in problems_of_delivery(wrong, outbox)] == [
        "undelivered.",
        "unknown to the sandbox.",
        "unknown to the sandbox.",
    ]


def test_the_customers_of_the_story(before: dict[str, Channel], now: float, sids: dict[str, str]) -> None:
    roles = [
        Role("Ada", "+14155550161", sids["ada"], True, "done 3 days ago"),
        Role("Ben", "+14155550162", sids["ben"], False, "wrote an hour ago"),
        Role("Cleo", "+14155550163", sids["cleo"], False, "still open"),
    ]
    assert problems_of_roles(roles, cleaned(before, now)) == []
    wrong = {sids["ada"]: before[sids["ada"]], sids["ben"]: retire(before[sids["ben"]])}
    missing = [*roles, Role("Dora", "+14155550164", "CH0", False, "texted just now")]
    found = problems_of_roles(missing, cleaned(before, now, wrong))
    assert [problem.split()[0] for problem in found] == ["Ada's", "Ben's", "Dora's"]
