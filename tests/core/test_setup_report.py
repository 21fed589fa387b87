"""Which sink set-up keeps, and the table it leaves."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from flexsms.core.setup_report import (
    STREAM_NAME,
    Choice,
    Row,
    RowState,
    Sink,
    Target,
    choose,
    standing,
    table,
    webhook,
)

URL = "https://example.com/flexsms/events"
HERE = webhook(URL)
ARN = "arn:aws:kinesis:us-east-1:1:stream/flexsms"
NOW = datetime(2026, 11, 20, tzinfo=UTC)


def sink(sid: str = "DG1", url: str = URL, status: str = "active", subscriptions: int = 1) -> Sink:
    shown = {"destination": url, "method": "post", "batch_events": "true"}
    return Sink(sid, STREAM_NAME, "webhook", shown, status, NOW, [f"DF{n}" for n in range(subscriptions)])


def kinesis(sid: str = "DG7", arn: str = ARN, status: str = "active", subscriptions: int = 1) -> Sink:
    return replace(
        sink(sid, status=status, subscriptions=subscriptions), kind="kinesis", configuration={"arn": arn}
    )


def chosen(*sinks: Sink, target: Target = HERE) -> Choice:
    return choose(sinks, STREAM_NAME, target)


def test_what_leads_where_we_want_is_kept_however_twilio_writes_it() -> None:
    assert chosen(sink()) == Choice(keep=sink())


@pytest.mark.parametrize(
    "other",
    [
        {"destination": URL + "2"},
        {"method": "get"},
        {"batch_events": False},
        {"destination": URL.upper()},
    ],
)
def test_another_configuration_is_another_sink(other: dict[str, object]) -> None:
    there = replace(sink(), configuration={**sink().configuration, **other})
    assert chosen(there) == Choice(replaced=[there])


def test_what_twilio_does_not_show_is_not_compared_but_the_address_is() -> None:
    target = Target("kinesis", {"arn": ARN, "role_arn": "arn:aws:iam::1:role/x", "external_id": "7"})
    there = Sink("DG1", STREAM_NAME, "kinesis", {"arn": ARN}, "active")
    assert chosen(there, target=target).keep == there
    hidden = replace(there, configuration={})
    assert chosen(hidden, target=target) == Choice(replaced=[hidden])
    assert chosen(replace(there, kind="webhook"), target=target).keep is None


@pytest.mark.parametrize(
    ("worse", "better"),
    [
        (sink("DG1", subscriptions=0), sink("DG2")),
        (sink("DG1", status="initialized", subscriptions=0), sink("DG2", subscriptions=0)),
        (replace(sink("DG1"), created=datetime(2026, 11, 21, tzinfo=UTC)), sink("DG2")),
        (sink("DG2"), sink("DG1")),
    ],
    ids=["subscribed", "active", "older", "always the same"],
)
def test_of_two_that_fit_every_try_keeps_the_same(worse: Sink, better: Sink) -> None:
    for order in ((worse, better), (better, worse)):
        assert chosen(*order) == Choice(keep=better, replaced=[worse])


def test_a_failed_one_is_not_kept() -> None:
    subscribed, bare = sink(status="failed"), sink("DG2", status="failed", subscriptions=0)
    assert chosen(subscribed, bare) == Choice(dead=[bare], replaced=[subscribed])


def test_what_nobody_names_takes_no_stream_away() -> None:
    old, failed = sink("DG2", url=URL + "2"), kinesis("DG8", status="failed", subscriptions=0)
    there = (sink(), old, kinesis(), failed)
    assert chosen(*there) == Choice(keep=sink(), dead=[failed], replaced=[old, kinesis()])
    unnamed = webhook(URL, named=False)
    assert chosen(*there, target=unnamed) == Choice(keep=sink(), replaced=[old], left=[kinesis(), failed])
    unnamed = Target("kinesis", {"arn": ARN}, named=False)
    assert chosen(*there, target=unnamed) == Choice(keep=kinesis(), left=[sink(), old, failed])


@pytest.mark.parametrize(
    ("sinks", "url", "stream", "goes_to"),
    [
        ([], "", "", None),
        ([], URL, "", URL),
        ([], "", "flexsms", None),
        ([sink()], "", "", URL),
        ([sink(url=URL + "2")], URL, "", URL),
        ([kinesis()], URL, "", ARN),
        ([kinesis()], URL, "another", ARN),
        ([kinesis(status="validating", subscriptions=0)], URL, "", ARN),
        ([kinesis(status="failed")], URL, "flexsms", URL),
        ([sink(), kinesis()], URL, "", URL),
        ([sink(), kinesis(status="validating", subscriptions=0)], URL, "flexsms", ARN),
        ([sink(), kinesis()], URL, ARN, ARN),
        ([sink(), kinesis()], URL, "sms", URL),
        ([kinesis("DG1", ARN + "2"), kinesis("DG2")], "", "flexsms", ARN),
        ([kinesis("DG1", subscriptions=0), sink("DG2", url=URL + "2")], "", "", URL + "2"),
        ([replace(kinesis(), configuration={})], URL, "flexsms", ""),
        ([replace(kinesis(), description="of staging")], "", "flexsms", None),
    ],
)
def test_events_stay_on_their_way(sinks: list[Sink], url: str, stream: str, goes_to: str | None) -> None:
    target = standing(sinks, STREAM_NAME, url=url, stream=stream)
    assert (target and target.address) == goes_to
    assert target is None or not target.named


def test_what_is_described_otherwise_is_not_ours() -> None:
    foreign = replace(sink(), description="flexsms task events of staging")
    assert chosen(foreign) == Choice(foreign=[foreign])


def test_the_table_is_in_columns() -> None:
    rows = [Row("Sink", RowState.MADE, "DG1", "here"), Row("Subscription", RowState.WOULD_MAKE)]
    assert table(rows) == "Sink          made           DG1  here\nSubscription  would be made"
    assert table([]) == ""
