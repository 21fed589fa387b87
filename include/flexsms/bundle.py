"""The DAGs of flexsms as a bundle: Airflow reads them where the package is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from airflow.dag_processing.bundles.local import LocalDagBundle


class FlexSmsDagBundle(LocalDagBundle):
    """The folder ``flexsms/dags`` of the installed package.

    For ``[dag_processor] dag_bundle_config_list``, in every component::

        {"name": "flexsms", "classpath": "flexsms.bundle.FlexSmsDagBundle", "kwargs": {}}

    It keeps no versions: a run takes the DAG of the package that is installed when a task starts.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(path=str(Path(__file__).with_name("dags")), **kwargs)
