"""Parsing the DAGs is light: the dag processor does it again and again."""

from __future__ import annotations

import subprocess
import sys

from tests.conftest import ROOT
from tests.dags.conftest import DAGS

HEAVY = ("aiohttp", "boto3", "fastapi", "phonenumbers", "starlette", "twilio.rest")
PARSE = """
import runpy, sys
import airflow.sdk
before = set(sys.modules)
for path in sys.argv[1:]:
    runpy.run_path(path)
print(*sorted(set(sys.modules) - before))
"""


def test_parsing_the_dags_imports_nothing_heavy() -> None:
    dags = sorted(str(path) for path in DAGS.glob("flexsms_*.py"))
    assert dags
    parsed = subprocess.run(
        [sys.executable, "-c", PARSE, *dags], capture_output=True, text=True, check=True, cwd=ROOT
    )
    imported = parsed.stdout.splitlines()[-1].split()
    assert "flexsms.operators.send" in imported
    assert [name for name in imported if name in HEAVY] == []
