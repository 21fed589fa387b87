"""Write the form of the Airflow connection, include/flexsms/connection_form.json, from the fields of the connection.

    python scripts/connection_form.py

Every Airflow process reads the form when it starts: so it is a file, and nobody has to import pydantic for it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flexsms.twilio.client.settings import field_schemas

FILE = Path(__file__).resolve().parents[1] / "include" / "flexsms" / "connection_form.json"
# What the connection's own fields of Airflow hold.
OWN = ("login", "password")
SHOWN = ("section", "pattern", "format", "minimum", "maximum", "enum", "values_display")


def field(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A field as Airflow wants it.

    It has no default in its schema: for a connection without any extra, Airflow 3.3 would store them all as soon as
    somebody has edited its description. The description says what an empty field means.
    """
    shown = {name: schema[name] for name in SHOWN if name in schema}
    if "form_pattern" in schema:
        shown["pattern"] = schema["form_pattern"]
    default = schema.get("default")
    meant = f" Empty: {default:g}." if isinstance(default, float | int) else f" Empty: {default}."
    return {
        "label": schema["title"],
        "description": schema["description"] + (meant if default else ""),
        "schema": {"type": [schema["type"], "null"], **shown},
    }


def form() -> str:
    """The file's text, one line per field."""
    fields = {name: field(schema) for name, schema in field_schemas().items() if name not in OWN}
    lines = [f"  {json.dumps(name)}: {json.dumps(one, ensure_ascii=False)}" for name, one in fields.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    FILE.write_text(form(), encoding="utf-8")
