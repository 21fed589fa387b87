"""What flexsms asks of an environment: ranges in its metadata, one pin for each of them in constraints.txt."""

from __future__ import annotations

import re
from importlib.metadata import metadata, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
METADATA = ["requirements.txt", "requirements-kinesis.txt", "requirements-sandbox.txt"]
FILES = sorted(path.name for path in ROOT.glob("requirements*.txt"))


def listed(name: str) -> list[Requirement]:
    """The requirements that a file names itself."""
    lines = (ROOT / name).read_text().splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith(("#", "-"))]


def test_the_metadata_pins_nothing() -> None:
    found = [Requirement(line) for line in requires("flexsms") or []]
    assert found
    for requirement in found:
        operators = {one.operator for one in requirement.specifier}
        assert not operators & {"==", "===", "~="}, f"{requirement} leaves no choice"
        assert ">=" in operators, f"{requirement} does not say what is needed at least"


def test_the_metadata_is_what_the_files_say() -> None:
    found = [Requirement(line) for line in requires("flexsms") or []]
    plain = {f"{one.name}{one.specifier}" for one in found if one.marker is None}
    assert plain == {f"{one.name}{one.specifier}" for one in listed("requirements.txt")}
    extras = metadata("flexsms").get_all("Provides-Extra") or []
    assert sorted(extras) == ["kinesis", "sandbox"]
    for extra in extras:
        added = {
            f"{one.name}{one.specifier}"
            for one in found
            if one.marker and one.marker.evaluate({"extra": extra})
        }
        assert added == {f"{one.name}{one.specifier}" for one in listed(f"requirements-{extra}.txt")}


@pytest.mark.parametrize("name", FILES)
def test_every_requirement_has_a_pin_within_its_range(name: str) -> None:
    pins = {pin.name: pin for pin in listed("constraints.txt")}
    for requirement in listed(name):
        [pinned] = pins[requirement.name].specifier
        assert pinned.operator == "=="
        assert pinned.version in requirement.specifier, f"{requirement} is pinned to {pinned.version}"


def test_the_pins_with_hashes_are_the_same() -> None:
    entries = (ROOT / "constraints-hashed.txt").read_text().replace("\\\n", "").splitlines()
    pins, hashes = zip(*(one.split("--hash", 1) for one in entries if not one.startswith("#")), strict=True)
    plain = (ROOT / "constraints.txt").read_text().splitlines()
    assert [pin.strip() for pin in pins] == [line for line in plain if not line.startswith("#")]
    assert all(re.fullmatch(r"(( *--hash)?=sha256:[0-9a-f]{64} *)+", one) for one in hashes)


@pytest.mark.parametrize("name", ["lowest", "next"])
def test_the_tests_other_versions_are_allowed(name: str) -> None:
    """Whoever changes a range runs `make constraints`, which writes these files, too."""
    pins = {pin.name: pin for pin in listed(f"tests/versions/{name}.txt")}
    for requirement in [one for name in METADATA for one in listed(name)]:
        [pinned] = pins[requirement.name].specifier
        assert requirement.specifier.contains(pinned.version, prereleases=True), requirement


def test_the_lowest_versions_are_tested() -> None:
    pins = {pin.name: pin for pin in listed("tests/versions/lowest.txt")}
    above = set()
    for requirement in [one for name in METADATA for one in listed(name)]:
        [lowest] = [one.version for one in requirement.specifier if one.operator == ">="]
        [pinned] = pins[requirement.name].specifier
        if Version(pinned.version) != Version(lowest):
            above.add(requirement.name)
    assert above == {"rich"}  # a tool of the tests, schemathesis, asks for more
