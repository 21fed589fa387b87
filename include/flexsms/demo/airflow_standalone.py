"""`airflow standalone` for one machine: `python -m flexsms.demo.airflow_standalone CONNECTIONS`.

It knows its connections from the start, and its scheduler and triggerer serve no logs: they would on every address of
the machine, and the api-server reads the files.

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
    _serve_no_logs()
    _airflow("standalone")


def _serve_no_logs() -> None:
    from airflow.cli.commands import standalone_command

    class Part(standalone_command.SubCommand):
        """A part of `airflow standalone`, which takes no options for them."""

        def run(self) -> None:
            """Start it without a log server."""
            if self.name in ("scheduler", "triggerer"):
                self.command = [*self.command, "--skip-serve-logs"]
            super().run()  # type: ignore[no-untyped-call]  # Airflow's own

    standalone_command.SubCommand = Part  # type: ignore[misc]  # there is no other way in


def _airflow(*command: str) -> None:
    from airflow.__main__ import main as airflow

    sys.argv = ["airflow", *command]
    airflow()  # type: ignore[no-untyped-call]  # Airflow's own


if __name__ == "__main__":
    main(Path(sys.argv[1]))
