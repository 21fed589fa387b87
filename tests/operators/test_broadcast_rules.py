from __future__ import annotations

import pytest

from flexsms.core.exceptions import InvalidInput
from flexsms.operators.broadcast_rules import parse_campaign


def test_a_name_that_is_written_in_two_ways_is_one_campaign() -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    assert composed != decomposed
    assert parse_campaign(composed) == parse_campaign(f" {decomposed} ") == composed


def test_a_name_with_another_sign_is_another_campaign() -> None:
    assert len({parse_campaign(name) for name in ("visits 1", "visits ¹", "Visits 1", "visits-1")}) == 4


@pytest.mark.parametrize("name", ["", "  ", None])
def test_a_campaign_has_a_name(name: str) -> None:
    with pytest.raises(InvalidInput, match="campaign: is empty"):
        parse_campaign(name)
