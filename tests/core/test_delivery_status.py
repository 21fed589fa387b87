"""What is known of a text only grows, whatever Twilio says and in whatever order."""

from __future__ import annotations

import itertools
import json
from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexsms.core.delivery_status import ERROR_PAGE, Delivery, DeliveryStatus, reason
from flexsms.core.exceptions import InvalidInput

SMS = "SM" + "1" * 32

deliveries = st.builds(
    Delivery,
    status=st.sampled_from(DeliveryStatus),
    error_code=st.none() | st.sampled_from([21610, 30003, 30034]),
    sms_sid=st.none() | st.sampled_from([SMS, "SM" + "2" * 32]),
)


@given(deliveries, deliveries, deliveries)
def test_merging_is_commutative_associative_and_idempotent(a: Delivery, b: Delivery, c: Delivery) -> None:
    assert a.merge(b) == b.merge(a)
    assert a.merge(b).merge(c) == a.merge(b.merge(c))
    assert a.merge(a) == a


@given(deliveries, deliveries)
def test_nothing_goes_back(known: Delivery, said: Delivery) -> None:
    merged = known.merge(said)
    assert merged.status.rank >= known.status.rank
    assert merged in (known, said)
    if known.status.is_final:
        assert merged.status.is_final


@pytest.mark.parametrize("last", ["delivered", "undelivered", "failed"])
def test_any_order_of_the_same_words_gives_the_same(last: str) -> None:
    for words in itertools.permutations(["accepted", "queued", "sending", "sent", last]):
        known = reduce(Delivery.merge, (Delivery(DeliveryStatus.of(word)) for word in words))
        assert known.status == last


def test_bad_news_outranks_good_news() -> None:
    arrived, lost = Delivery(DeliveryStatus.DELIVERED), Delivery(DeliveryStatus.UNDELIVERED, 30003)
    assert arrived.merge(lost) == lost


@pytest.mark.parametrize(
    ("word", "meaning"),
    [
        ("accepted", "queued"),
        ("scheduled", "queued"),
        ("queued", "queued"),
        ("sending", "queued"),
        ("sent", "sent"),
        ("delivery-unknown", "sent"),
        ("delivery_unknown", "sent"),
        ("delivered", "delivered"),
        ("Delivered", "delivered"),
        ("read", "delivered"),
        ("undelivered", "undelivered"),
        ("failed", "failed"),
        ("canceled", "failed"),
        ("unknown", "queued"),
        ("teleported", "queued"),
        ("", "queued"),
        (None, "queued"),
    ],
)
def test_every_word_of_twilio_means_something(word: str | None, meaning: str) -> None:
    assert DeliveryStatus.of(word) == meaning


@given(st.text())
def test_a_word_that_nobody_knows_is_no_reason_to_crash(word: str) -> None:
    assert DeliveryStatus.of(word) in DeliveryStatus


def test_what_is_final() -> None:
    assert [status.value for status in DeliveryStatus if not status.is_final] == ["queued", "sent"]


@given(deliveries)
def test_it_survives_json(delivery: Delivery) -> None:
    written = json.loads(json.dumps(delivery.to_json()))
    assert list(written) == ["status", "error_code", "sms_sid"]
    assert Delivery.from_json(written) == delivery


@pytest.mark.parametrize("value", [None, "delivered", [], {}, {"status": "teleported"}, {"status": None}])
def test_what_is_no_delivery(value: object) -> None:
    with pytest.raises(InvalidInput, match=r"^delivery: holds no known status; .+\.$"):
        Delivery.from_json(value)


@pytest.mark.parametrize(
    ("delivery", "sentence"),
    [
        (Delivery(DeliveryStatus.QUEUED), "Not known yet: the SMS is still at Twilio, waiting to be sent."),
        (
            Delivery(DeliveryStatus.SENT, None, SMS),
            f"Not known yet: the carrier has the text, and the handset has not confirmed it ({SMS}).",
        ),
        (Delivery(DeliveryStatus.DELIVERED, None, SMS), f"Delivered ({SMS})."),
        (
            Delivery(DeliveryStatus.UNDELIVERED, 30003, SMS),
            "Not delivered: the handset is switched off or out of reach; send again later under another "
            f"idempotency_key (undelivered, error 30003, {SMS}).",
        ),
        (
            Delivery(DeliveryStatus.FAILED),
            "Not delivered: Twilio gives no reason; look at the message in the Twilio Console (failed).",
        ),
    ],
)
def test_the_sentence(delivery: Delivery, sentence: str) -> None:
    assert delivery.sentence() == sentence


@pytest.mark.parametrize(
    "code", [21211, 21408, 21610, 21614, 30001, 30003, 30004, 30005, 30006, 30007, 30008, 30034, 63018]
)
def test_a_known_code_says_what_is_wrong_and_what_to_do(code: int) -> None:
    what, _, remedy = reason(code).partition("; ")
    assert len(what) > 20
    assert len(remedy) > 15
    assert ERROR_PAGE not in reason(code)


def test_an_unknown_code_leads_to_its_page() -> None:
    assert reason(12345) == "the reason is explained at https://www.twilio.com/docs/api/errors/12345"
