"""The last test: everything that any sandbox of the run was asked and answered, against Twilio's own documents."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.checker import Checker
from tests.contract.openapi import Documents


@pytest.mark.last
@pytest.mark.timeout(600)
def test_the_run_kept_to_twilios_documents(documents: Documents, recordings: Path) -> None:
    checker = Checker(documents)
    for file in sorted(recordings.rglob("*.jsonl")):
        checker.check_file(file)
    if not checker.exchanges:
        pytest.skip("no sandbox was asked anything in this run")
    print(f"{checker.exchanges} exchanges, {len(checker.operations)} operations")
    if checker.violations:
        listed = "\n\n".join(map(str, checker.violations))
        pytest.fail(
            f"{len(checker.violations)} ways off Twilio's OpenAPI documents:\n\n{listed}", pytrace=False
        )
