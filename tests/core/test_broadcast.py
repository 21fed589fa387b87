from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from flexsms.core.broadcast import BroadcastBatch, BroadcastResult, BroadcastText, Outcome

BODIES = st.text(st.characters(exclude_categories=["Cs"]))


@given(BODIES, st.lists(st.sampled_from(["Europe/Berlin", "America/Boise"]), unique=True))
def test_a_text_survives_its_line_and_no_repr_shows_what_is_personal(body: str, zones: list[str]) -> None:
    text = BroadcastText(7, "+14155550100", "+14155550199", body, "Ada", tuple(zones))
    line = text.to_line()
    assert line.count(b"\n") == 1
    assert BroadcastText.from_line(line) == text
    assert "0199" not in repr(text)
    assert "Ada" not in repr(text)


def test_a_batch_survives_xcom() -> None:
    batch = BroadcastBatch(3, "texts 1 to 2", "file:///tmp/x", 0, 99, 2, ("Europe/Berlin",))
    assert BroadcastBatch.from_json(batch.to_json()) == batch


def test_a_result_survives_its_line() -> None:
    result = BroadcastResult(
        7, "…0199", Outcome.FAILED, 30007, "filtered", "2026-01-01T00:00:00+00:00", 2, "CH1", "IM1"
    )
    assert BroadcastResult.from_line(result.to_line()) == result
    assert [one for one in Outcome if one.has_left] == ["sent", "delivered", "not_delivered"]
