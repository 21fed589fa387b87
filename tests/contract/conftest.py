"""Twilio's documents, or one sentence about why there are none."""

from __future__ import annotations

import pytest

from tests.contract.openapi import Documents, DocumentsMissing


@pytest.fixture(scope="session")
def documents() -> Documents:
    try:
        return Documents.published()
    except DocumentsMissing as error:
        pytest.fail(str(error), pytrace=False)
