"""Run by the Python of an environment that has a wheel of flexsms and an Airflow: writes an asset event of each DAG.

What the events say is of no account here; tests/operators has them from real runs.
"""

from __future__ import annotations

from airflow.models.asset import AssetEvent, AssetModel  # noqa: TID251 (this script is no code of a task)
from airflow.utils.session import create_session  # noqa: TID251
from sqlalchemy import select

FROM = {
    "flexsms_cleanup": "flexsms_channel_state",
    "flexsms_track": "flexsms_channel_state",
    "flexsms_send": "flexsms_text",
}


def main() -> None:
    """One event of each."""
    with create_session() as session:
        for dag_id, asset in FROM.items():
            asset_id = session.scalars(select(AssetModel.id).where(AssetModel.name == asset)).one()
            session.add(AssetEvent(asset_id=asset_id, source_dag_id=dag_id, source_run_id="a", extra={}))


if __name__ == "__main__":
    main()
