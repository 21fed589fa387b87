"""Run by the Python of an environment that has a wheel of flexsms and an Airflow, and nothing of the checkout.

Prints, as the last line, what it found as JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import flexsms
from flexsms.demo.main import connection
from flexsms.sandbox.client import SandboxProcess

AIRFLOW = Path(sys.executable).with_name("airflow")
TO, TEXT = "+14155550167", "Your parcel is here"


def airflow(*arguments: str) -> str:
    """The output of a command of Airflow."""
    return subprocess.run([AIRFLOW, *arguments], stdout=subprocess.PIPE, text=True, check=True).stdout


def listed(*arguments: str) -> Any:
    """What a command of Airflow lists. There may be lines of a log before it; an empty list is a sentence."""
    told = airflow(*arguments, "--output", "json")
    return json.loads(told[told.index("[{") :]) if "[{" in told else []


def statuses() -> dict[str, int]:
    """What the app that Airflow mounts for the plugin answers to nobody in particular."""
    from airflow.api_fastapi.app import init_plugins
    from fastapi import FastAPI
    from fastapi.testclient import TestClient

    server = FastAPI()
    init_plugins(server)
    client = TestClient(server)
    return {
        "unsigned post": client.post("/flexsms/events", content=b"[]").status_code,
        "no such route": client.post("/flexsms/nothing").status_code,
    }


def sent() -> list[Any]:
    """What flexsms_send, run by Airflow, sends into a local Twilio."""
    with SandboxProcess() as sandbox:
        to_sandbox = connection(sandbox.settings, "conversations")
        os.environ["AIRFLOW_CONN_TWILIO_DEFAULT"] = json.dumps(to_sandbox)
        number = sandbox.settings["numbers"]["conversations"]
        conf = {"from_number": number, "to_number": TO, "body": TEXT}
        airflow("dags", "test", "flexsms_send", "--conf", json.dumps(conf))
        return [[text["to"], text["body"]] for text in sandbox.control.outbox()]


def main() -> None:
    """Everything, one after the other."""
    import airflow as found

    airflow("db", "migrate")
    airflow("dags", "reserialize")
    report = {
        "airflow": found.__version__,
        "package": str(Path(flexsms.__file__).parent),
        "providers": [one["package_name"] for one in listed("providers", "list")],
        "plugins": [[one["name"], one["source"]] for one in listed("plugins")],
        "dags": sorted(one["dag_id"] for one in listed("dags", "list")),
        "import errors": listed("dags", "list-import-errors"),
        "statuses": statuses(),
        "sent": sent(),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
