"""The DAGs come with the package: as a bundle, or through files of the DAG folder that name them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flexsms.bundle import FlexSmsDagBundle
from tests.conftest import ROOT

DAGS = ["flexsms_broadcast", "flexsms_cleanup", "flexsms_send", "flexsms_setup", "flexsms_track"]


def dags_in(folder: Path) -> dict[str, Any]:
    """The DAGs that Airflow finds in a folder."""
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(folder)
    assert bag.import_errors == {}
    return bag.dags


@pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning")
@pytest.mark.parametrize(
    "folder", [FlexSmsDagBundle(name="flexsms").path, ROOT / "dags"], ids=["bundle", "folder"]
)
def test_the_four_dags_are_there(folder: Path, airflow_db: Path) -> None:
    found = dags_in(folder)
    assert sorted(found) == DAGS
    for dag_id, dag in found.items():
        assert Path(dag.fileloc) == folder / f"{dag_id}.py"
        assert dag.doc_md


def test_airflow_takes_the_bundle_by_its_name(airflow_db: Path) -> None:
    """As docs/install.md names it, with nothing of the checkout in between."""
    program = """
from airflow.dag_processing.bundles.manager import DagBundlesManager

print(DagBundlesManager().get_bundle("flexsms").path)
"""
    page = (ROOT / "docs" / "install.md").read_text()
    [bundles] = [line for line in page.splitlines() if line.startswith("dag_bundle_config_list = ")]
    environment = {
        **os.environ,
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": bundles.partition(" = ")[2],
    }
    told = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert told.stdout.splitlines()[-1] == str(ROOT / "include" / "flexsms" / "dags")
