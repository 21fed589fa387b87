"""Attributes as Twilio keeps them."""

from __future__ import annotations

from typing import Any

import pytest

from flexsms.core.attributes import parse_attributes, write_attributes


@pytest.mark.parametrize("attributes", [{"name": "Zoë 🙂"}, {"name": "Zo\ud83d"}, {}])
def test_attributes_are_written_so_that_they_come_back(attributes: dict[str, Any]) -> None:
    text = write_attributes(attributes)
    assert parse_attributes(text.encode().decode()) == attributes
