"""What OpenLineage is told: where a task has read, what it has written, and how many rows. No number is in a name.

It is told only where Airflow has the OpenLineage provider, which asks operators for it:
https://airflow.apache.org/docs/apache-airflow-providers-openlineage/stable/guides/developer.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Lineage:
    """What one task has read and written.

    :param account_sid: AC…, whose data it is
    :param read: what it has read, like ``sync/IS…/documents``; empty: nothing that has a name
    :param written: what it has written
    :param rows: how much of that
    """

    account_sid: str
    read: str
    written: str
    rows: int

    def to_facets(self) -> Any:
        """The provider's ``OperatorLineage``."""
        from airflow.providers.openlineage.extractors import OperatorLineage
        from openlineage.client.generated.base import InputDataset, OutputDataset
        from openlineage.client.generated.output_statistics_output_dataset import (
            OutputStatisticsOutputDatasetFacet,
        )

        namespace = f"twilio://{self.account_sid}"
        rows = OutputStatisticsOutputDatasetFacet(rowCount=self.rows)
        return OperatorLineage(
            inputs=[InputDataset(namespace, self.read)] if self.read else [],
            outputs=[OutputDataset(namespace, self.written, outputFacets={"outputStatistics": rows})],
        )


class WithLineage:
    """An operator that tells its lineage once it is through; also when it has failed behind that."""

    lineage: Lineage | None = None

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:  # noqa: ARG002  # the operator knows all
        """Called by the OpenLineage provider, in the process of the task."""
        return self.lineage.to_facets() if self.lineage else None
