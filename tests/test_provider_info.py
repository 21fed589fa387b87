"""What Airflow is told about flexsms holds."""

from __future__ import annotations

import dataclasses
import json
import re
import tomllib
from importlib import import_module
from importlib.resources import files
from itertools import groupby
from typing import Any
from urllib.parse import urlencode

import jsonschema
import pytest
from airflow.sdk import Connection

from flexsms import __version__
from flexsms.hooks.twilio import TwilioHook
from flexsms.provider_info import CONNECTION_FIELDS, get_provider_info
from flexsms.twilio.client.settings import TwilioSettings
from scripts.connection_form import FILE, form
from tests.conftest import ROOT

INFO = get_provider_info()
[CONNECTION] = INFO["connection-types"]


def test_it_is_what_airflow_expects() -> None:
    schema = json.loads((files("airflow") / "provider_info.schema.json").read_text())
    jsonschema.validate(INFO, schema)
    assert INFO["versions"] == [__version__]


def test_the_list_of_providers_leads_to_a_page_that_is_there() -> None:
    """Airflow takes the package's metadata, and without a documentation there makes up an address of its own site."""
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]
    assert urls["Documentation"] == INFO["integrations"][0]["external-doc-url"]


@pytest.mark.parametrize(
    "module",
    [
        name
        for kind in ("hooks", "operators", "sensors", "triggers", "bundles")
        for entry in INFO[kind]
        for name in entry["python-modules"]
    ],
)
def test_every_module_is_there(module: str) -> None:
    assert import_module(module).__doc__


@pytest.mark.parametrize("path", [*INFO["extra-links"], *INFO["cli"], CONNECTION["hook-class-name"]])
def test_every_class_is_there(path: str) -> None:
    module, _, name = path.rpartition(".")
    assert getattr(import_module(module), name)


def test_the_form_is_made_from_the_settings() -> None:
    assert FILE.read_text(encoding="utf-8") == form(), "run `make form`"


def test_the_form_has_exactly_the_fields_of_the_settings() -> None:
    fields = [field.name for field in dataclasses.fields(TwilioSettings)]
    assert list(CONNECTION_FIELDS) == [name for name in fields if name not in ("login", "password")]


@pytest.mark.parametrize("name", CONNECTION_FIELDS)
def test_every_field_explains_itself(name: str) -> None:
    field = CONNECTION_FIELDS[name]
    assert field["label"]
    assert field["description"].endswith(".")
    jsonschema.Draft7Validator.check_schema(field["schema"])


def test_the_fields_that_everybody_needs_come_before_the_sections() -> None:
    sections = [field["schema"].get("section") for field in CONNECTION_FIELDS.values()]
    asked_first = sections.count(None)
    assert asked_first + len(("login", "password")) == 8
    assert sections[:asked_first] == [None] * asked_first
    # A section is one block: Airflow shows the fields of the form in the order in which they come.
    assert [name for name, _ in groupby(sections[asked_first:])] == [
        "Flex Conversations",
        "Programmable Chat",
        "Event Streams",
        "Other sources",
        "Notifications",
        "Advanced",
    ]


@pytest.mark.parametrize("name", [name for name in CONNECTION_FIELDS if name.endswith("_sid")])
def test_a_sid_says_where_the_console_shows_it(name: str) -> None:
    assert ". In the Twilio Console: " in CONNECTION_FIELDS[name]["description"]


@pytest.mark.parametrize(
    ("name", "unit"), [("timeout_s", "seconds"), ("close_after_days", "days"), ("inbox_keep_days", "days")]
)
def test_a_label_has_its_unit(name: str, unit: str) -> None:
    assert f"({unit})" in CONNECTION_FIELDS[name]["label"]


@pytest.mark.parametrize("name", CONNECTION_FIELDS)
def test_no_field_has_a_default_that_a_form_could_write_over_what_is_there(name: str) -> None:
    schema = CONNECTION_FIELDS[name]["schema"]
    assert "default" not in schema
    # What the form stores for a field that nobody has filled in, and lets through only where the schema takes it.
    jsonschema.validate(None, schema)


def test_a_form_that_nobody_filled_in_changes_nothing() -> None:
    untouched = TwilioSettings.from_connection("AC" + "0" * 32, "secret", dict.fromkeys(CONNECTION_FIELDS))
    assert untouched == TwilioSettings.from_connection("AC" + "0" * 32, "secret", {})


@pytest.mark.parametrize(
    "name",
    [
        *("stack", "timeout_s", "max_in_flight", "rate_limits", "events_conn_id", "events_endpoint"),
        *("inbox_keep_days", "kinesis_conn_id"),
    ],
)
def test_what_an_empty_field_means_is_said(name: str) -> None:
    meant = getattr(TwilioSettings.from_connection("AC" + "0" * 32, "secret", {}), name)
    meant = f"{meant:g}" if isinstance(meant, float) else str(meant)
    assert re.search(rf"Empty: {re.escape(meant)}[.,]", CONNECTION_FIELDS[name]["description"])


def test_numbers_may_be_texts() -> None:
    """A form or a connection in URI form makes texts of them."""
    extra = {"timeout_s": 20, "max_in_flight": 7, "close_after_days": 9, "inbox_keep_days": 3}
    texts = {name: str(value) for name, value in extra.items()}
    texts |= {"stack": "conversations", "rate_limits": '{"proxy.twilio.com": 10}'}
    uri = f"twilio://AC{'0' * 32}:secret@/?{urlencode(texts)}"
    for given in (texts, Connection.from_uri(uri, conn_id="twilio_default").extra_dejson):
        settings = TwilioSettings.from_connection("AC" + "0" * 32, "secret", given)
        assert {name: getattr(settings, name) for name in extra} == extra
        assert settings.rate_limits == {"proxy.twilio.com": 10}


@pytest.mark.parametrize("name", CONNECTION_FIELDS)
def test_airflow_masks_the_secret_and_nothing_else(name: str) -> None:
    from airflow.sdk.log import redact  # type: ignore[attr-defined]  # public, yet not in its __all__

    secret = name == "auth_token"
    masked: Any = redact({name: "KS0123456789"})
    assert (CONNECTION_FIELDS[name]["schema"].get("format") == "password") is secret
    assert (masked[name] == "***") is secret


def test_placeholders_belong_to_fields_that_are_shown() -> None:
    behaviour = CONNECTION["ui-field-behaviour"]
    # Airflow 3.3 tests a stored connection only if its port is a number, so the form asks for it.
    shown = {"login", "password", "port", *CONNECTION_FIELDS}
    assert set(behaviour["placeholders"]) <= shown
    assert set(behaviour["relabeling"]) <= shown
    assert behaviour["hidden-fields"] == ["host", "schema"]


def test_airflow_lists_the_connection_type_with_its_form() -> None:
    from airflow.providers_manager import ProvidersManager
    from airflow.sdk.providers_manager_runtime import ProvidersManagerTaskRuntime

    hook: Any = ProvidersManagerTaskRuntime().hooks["twilio"]
    assert hook.hook_name == TwilioHook.hook_name
    assert hook.connection_id_attribute_name == TwilioHook.conn_name_attr
    manager = ProvidersManager()
    assert "flexsms" in manager.providers
    shown = [name.rpartition("__")[2] for name in manager.connection_form_widgets if "__twilio__" in name]
    assert shown == list(CONNECTION_FIELDS)
