"""`airflow standalone` that knows its connections from the start: `python -m flexsms.demo.standalone CONNECTIONS`.

The trigger of the inbox asks for its connection when it starts, and without one only a minute later again. Stored over
the REST API the connection would come too late for a story that is over by then; as `AIRFLOW_CONN_…` it would not be
shown in Airflow's UI.
"""

from __future__ import annotations

import sys
from pathlib import Path


def main(connections: Path) -> None:
    """Make the database, store the connections, and become Airflow, all in one process: each would start slowly.

    :param connections: a file as for ``airflow connections import``; it is removed, for it may hold secrets
    """
    _airflow("db", "migrate")
    _airflow("connections", "import", str(connections))
    connections.unlink()
    _airflow("standalone")


def _airflow(*command: str) -> None:
    from airflow.__main__ import main as airflow

    sys.argv = ["airflow", *command]
    airflow()  # type: ignore[no-untyped-call]  # Airflow's own


if __name__ == "__main__":
    main(Path(sys.argv[1]))
