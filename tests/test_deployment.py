"""docs/deployment: what can be told of its files without running them. `make test-cluster` runs what can be run."""

from __future__ import annotations

import re
import runpy
import subprocess
from fnmatch import fnmatch
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from packaging.requirements import Requirement

from tests.cluster.deployment import COMPONENTS, FOLDER, ROOT, command, unit, variables

GUIDE = ROOT / "docs" / "deployment.md"
# What people put there themselves, as the files say in their first lines.
OWN = {"site.env", "tls", "passwords.json"}
OPTION = re.compile(r"AIRFLOW__([A-Z_]+?)__([A-Z_]+)")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The compose file."""
    found: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text())
    return found


@pytest.fixture(scope="module")
def values() -> dict[str, Any]:
    """The Helm values."""
    found: dict[str, Any] = yaml.safe_load((FOLDER / "values.yaml").read_text())
    return found


@pytest.fixture(scope="module")
def dockerfile() -> str:
    """The Dockerfile, its continued lines joined."""
    return (FOLDER / "Dockerfile").read_text().replace("\\\n", " ")


def pinned(package: str) -> str:
    """The version of a package in constraints.txt."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    [version] = [str(pin.specifier).removeprefix("==") for pin in pins if pin.name == package]
    return version


def is_option(section: str, name: str) -> bool:
    """Whether Airflow, Celery's provider or flexsms has an option."""
    from airflow.providers_manager import ProvidersManager
    from airflow.sdk.configuration import conf

    ProvidersManager().initialize_providers_configuration()
    return name in conf.configuration_description.get(section, {}).get("options", {})


def test_every_file_is_named_in_the_guide() -> None:
    told = GUIDE.read_text()
    files = [path.name for path in FOLDER.iterdir()]
    assert [name for name in files if f"(deployment/{name}" not in told] == []


@pytest.mark.parametrize(
    "path", ["airflow.env", "site.env.example", "values.yaml", "compose.yaml", "../deployment.md"]
)
def test_every_variable_is_an_option_of_airflow(path: str) -> None:
    found = set(OPTION.findall((FOLDER / path).read_text()))
    unknown = [
        pair for pair in found if pair[0] != "CELERY" and not is_option(*(part.lower() for part in pair))
    ]
    assert unknown == []


def test_no_value_of_the_environment_files_depends_on_who_reads_it() -> None:
    for name in ("airflow.env", "site.env.example"):
        for variable, value in variables(name).items():
            assert value, variable
            assert value[0] not in "'\"", f"{variable}: kubectl keeps the quotes"
            assert not re.search(r"[$\\]|\s#", value), f"{variable}: not every reader leaves that as it is"


@pytest.mark.parametrize("component", COMPONENTS)
def test_a_unit_names_the_environment_files(component: str) -> None:
    text = (FOLDER / "systemd" / f"airflow-{component}.service").read_text()
    assert re.findall(r"(?m)^EnvironmentFile=/etc/airflow/(.*)$", text) == ["airflow.env", "site.env"]
    assert unit(component)["Service"]["Restart"] == "always"
    assert unit(component)["Install"]["WantedBy"] == "multi-user.target"


def test_workers_listen_to_the_queue_of_flexsms() -> None:
    queues = command("worker")[command("worker").index("--queues") + 1].split(",")
    assert {"default", variables("airflow.env")["AIRFLOW__FLEXSMS__QUEUE"]} <= set(queues)


def test_the_pool_of_the_options_is_the_one_that_the_guide_makes() -> None:
    assert (
        f"airflow pools set {variables('airflow.env')['AIRFLOW__FLEXSMS__SEND_POOL']} " in GUIDE.read_text()
    )


def test_the_compose_file_runs_the_commands_of_the_units(compose: dict[str, Any]) -> None:
    services = compose["services"]
    wanted = {"api-server-1": "api-server", "api-server-2": "api-server"}
    wanted |= {name: name for name in COMPONENTS if name != "api-server"}
    assert {name: services[name]["command"] for name in wanted} == {
        name: command(component) for name, component in wanted.items()
    }
    for name in (*wanted, "migrate"):
        assert services[name]["env_file"] == ["airflow.env", "site.env"]


def test_the_files_of_the_compose_file_are_there(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert source.removeprefix("./") in OWN or (FOLDER / source).exists(), (name, source)
            else:
                assert source in compose["volumes"], (name, source)
        if build := service.get("build"):
            assert (FOLDER / build["context"]).resolve() == ROOT
            assert (ROOT / build["dockerfile"]).exists()
    others = {name for service in compose["services"].values() for name in service.get("depends_on", ())}
    assert others <= set(compose["services"])


def test_nginx_gets_every_value_that_its_template_leaves_open(compose: dict[str, Any]) -> None:
    template = (FOLDER / "nginx.conf.template").read_text()
    comment = r"(?m)^\s*#.*$"
    assert set(re.findall(r"\$\{(\w+)\}", re.sub(comment, "", template))) == set(
        compose["services"]["nginx"]["environment"]
    )


def test_the_addresses_in_the_example_are_those_of_the_compose_file(compose: dict[str, Any]) -> None:
    site = variables("site.env.example")
    nginx = compose["services"]["nginx"]["environment"]
    assert f"//nginx:{nginx['INTERNAL_LISTEN']}/" in site["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"]
    assert site["AIRFLOW__API__BASE_URL"] == f"https://{nginx['PUBLIC_NAME']}/airflow"
    for option, service in (("DATABASE__SQL_ALCHEMY_CONN", "postgres"), ("CELERY__BROKER_URL", "redis")):
        assert f"@{service}:" in site[f"AIRFLOW__{option}"]
        assert service in compose["services"]


def test_the_image_is_made_of_files_that_are_there(dockerfile: str) -> None:
    copied = [
        line.split()[1:-1]
        for line in dockerfile.splitlines()
        if line.startswith("COPY") and "--from" not in line
    ]
    names = [name for sources in copied for name in sources]
    assert names
    for name in names:
        assert list(ROOT.glob(name)), name
    needed = ["pyproject.toml", "requirements.txt", "requirements-kinesis.txt", "requirements-sandbox.txt"]
    assert [one for one in needed if not any(fnmatch(one, name) for name in names)] == []


def test_the_versions_are_those_that_the_tests_run_with(
    dockerfile: str, compose: dict[str, Any], values: dict[str, Any]
) -> None:
    from flexsms import __version__

    assert re.findall(r"FROM apache/airflow:(\S+)", dockerfile) == [pinned("apache-airflow")]
    assert values["airflowVersion"] == pinned("apache-airflow")
    assert values["images"]["airflow"]["tag"] == __version__
    assert compose["services"]["worker"]["image"] == f"flexsms-airflow:{__version__}"
    assert f"flexsms-{__version__}-py3" in GUIDE.read_text()


def test_the_chart_runs_the_commands_of_the_units(values: dict[str, Any]) -> None:
    for name, component in (("apiServer", "api-server"), ("workers", "worker")):
        assert values[name]["args"] == ["bash", "-c", " ".join(["exec airflow", *command(component)])]


def test_the_chart_makes_no_secret_that_the_site_has(values: dict[str, Any]) -> None:
    built_in = values["enableBuiltInSecretEnvVars"]
    assert not any(built_in.values())
    assert set(built_in) <= set(variables("site.env.example"))
    [configuration, site] = yaml.safe_load(values["extraEnvFrom"])
    assert (configuration["configMapRef"]["name"], site["secretRef"]["name"]) == (
        "flexsms-airflow",
        "flexsms-site",
    )


def test_nothing_that_is_secret_can_be_committed() -> None:
    for name in OWN:
        done = subprocess.run(
            ["git", "check-ignore", "--quiet", "--no-index", f"docs/deployment/{name}"], cwd=ROOT, check=False
        )
        assert done.returncode == 0, name


def test_a_failed_run_is_told_of() -> None:
    from airflow.sdk import DAG
    from airflow.serialization.serialized_objects import DagSerialization

    policy = runpy.run_path(str(FOLDER / "airflow_local_settings.py"))["dag_policy"]
    for tags, told in ((["flexsms"], True), (["others"], False)):
        dag = DAG("any", schedule=None, tags=tags)
        policy(dag)
        assert DagSerialization.from_dict(DagSerialization.to_dict(dag)).has_on_failure_callback is told
