"""The frame of the demo: where it lives, when it stays, how it ends."""

from __future__ import annotations

import argparse
import fcntl
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flexsms.demo import local_airflow, main
from flexsms.demo.airflow_api import ApiError
from flexsms.demo.console import View
from flexsms.demo.event_latency import Followed
from flexsms.demo.expectations import Cleaned
from flexsms.demo.local_airflow import DemoFailed, LocalAirflow, free_ports, inherited, settings
from flexsms.demo.options import STACKS
from flexsms.demo.report import Told


@pytest.fixture(autouse=True)
def _signals_as_before() -> Iterator[None]:
    before = {one: signal.getsignal(one) for one in main.ENDINGS}
    yield
    for one, handler in before.items():
        signal.signal(one, handler)


def test_the_demo_lives_in_a_folder_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert main.demo_home({"AIRFLOW_HOME": "/somewhere"}) == Path("/somewhere/flexsms-demo")
    assert main.demo_home({}) == tmp_path / ".airflow" / "flexsms-demo"
    assert main.demo_home({"AIRFLOW_HOME": ""}) == tmp_path / ".airflow" / "flexsms-demo"


def test_airflow_sees_no_other_airflow_and_no_other_twilio() -> None:
    mine = {
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "postgresql://production",
        "AIRFLOW_CONN_TWILIO_DEFAULT": "{}",
        "_AIRFLOW_X": "1",
        "TWILIO_AUTH_TOKEN": "secret",
        "FLEXSMS_SANDBOX_RECORD": "/records",
        "LANG": "C.UTF-8",
        "no_proxy": "example.org",
    }
    kept = inherited(mine)
    assert not any("AIRFLOW" in name or "TWILIO" in name for name in kept)
    assert (kept["LANG"], kept["FLEXSMS_SANDBOX_RECORD"]) == ("C.UTF-8", "/records")
    assert (kept["no_proxy"], kept["NO_PROXY"]) == ("example.org,127.0.0.1,localhost", "127.0.0.1,localhost")


def test_secrets_are_made_for_one_run(tmp_path: Path) -> None:
    one, other = (settings(tmp_path, 8080) for _ in range(2))
    different = {name for name in one if one[name] != other[name]}
    assert different == {
        "AIRFLOW__CORE__FERNET_KEY",
        "AIRFLOW__API__SECRET_KEY",
        "AIRFLOW__API_AUTH__JWT_SECRET",
    }


def test_airflow_listens_on_this_machine_only(tmp_path: Path) -> None:
    found = settings(tmp_path, 8080)
    assert found["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert found["AIRFLOW__API__BASE_URL"] == "http://127.0.0.1:8080"


def test_free_ports_are_all_different() -> None:
    assert len(set(free_ports(20))) == 20


def test_two_demos_in_one_home_are_refused(tmp_path: Path) -> None:
    with (tmp_path / "demo.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with (
            pytest.raises(DemoFailed, match="Another demo is running"),
            LocalAirflow(tmp_path / "demo"),
        ):
            raise AssertionError("unreachable")


@pytest.mark.airflow
def test_an_airflow_that_ends_early_shows_the_end_of_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        local_airflow,
        "settings",
        lambda *_: {"AIRFLOW_HOME": str(tmp_path), "AIRFLOW__CORE__EXECUTOR": "Nonsense"},
    )
    with (
        LocalAirflow(tmp_path / "demo") as airflow,
        pytest.raises(DemoFailed, match=r"(?s)Airflow ended before it was ready.*Nonsense"),
    ):
        airflow.wait_until_ready(set(), lambda _: None)
    assert not airflow.is_running


@pytest.mark.airflow
def test_an_airflow_that_does_not_get_ready_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_airflow, "START_TIMEOUT_S", 0.0)
    told: list[str] = []
    with (
        LocalAirflow(tmp_path / "demo") as airflow,
        pytest.raises(DemoFailed, match="took more than 0 s to start; still missing: api, database"),
    ):
        airflow.wait_until_ready(set(), told.append)
    assert told == ["waiting for api, database, scheduler, dag processor, triggerer"]


def test_a_dag_that_cannot_be_imported_ends_the_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    airflow = LocalAirflow(tmp_path / "demo")
    monkeypatch.setattr(airflow.api, "missing", list)
    monkeypatch.setattr(airflow.api, "log_in", lambda: None)
    monkeypatch.setattr(airflow.api, "import_errors", lambda: ["dags/x.py: ImportError"])
    with pytest.raises(DemoFailed, match=r"(?s)cannot import a DAG.*dags/x.py: ImportError"):
        airflow.wait_until_ready({"x"}, lambda _: None)


class Scene:
    """The demo with its Airflow, its sandbox and its story played by stand-ins."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, problems: list[str]) -> None:
        self.events: list[str] = []
        self.running = True
        self.stack = "conversations"
        scene = self

        class Sandbox:
            base_url = "http://127.0.0.1:1"
            settings: dict[str, Any] = {  # noqa: RUF012 (a stand-in)
                "account_sid": "AC" + "1" * 32,
                "auth_token": "2" * 32,
                "sync_service_sid": "IS" + "3" * 32,
                "base_url": base_url,
            }
            control = None

            def __init__(self, seed: str) -> None:
                scene.events.append(f"sandbox {seed}")

            def __enter__(self) -> Sandbox:
                return self

            def __exit__(self, *_: object) -> None:
                scene.events.append("sandbox ended")

        class Airflow:
            url, password, log = "http://127.0.0.1:2", "pw", Path("x.log")

            def __init__(self, *_: object) -> None:
                self.api = self
                self.connections: dict[str, Any] = {}

            def __enter__(self) -> Airflow:
                for conn_id, found in self.connections.items():
                    assert found["events_url"] == "http://127.0.0.1:2/flexsms/events"
                    assert found["inbox_path"].endswith("/flexsms-demo/inbox")
                    scene.events.append(f"airflow with {conn_id} for {found['stack']}")
                return self

            def __exit__(self, *_: object) -> None:
                assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
                scene.events.append("airflow ended")

            def wait_until_ready(self, *_: object) -> None:
                scene.events.append("airflow ready")

            def run_module(self, name: str) -> None:
                scene.events.append(f"run {name}")

            def tail(self) -> str:
                return "the last line"

            @property
            def is_running(self) -> bool:
                return scene.running

        class Story:
            def __init__(self, *_: object) -> None:
                pass

            def play(self) -> Told:
                scene.events.append("story")
                scene.act()
                empty = Cleaned(0, 0, {}, {}, {}, ())
                followed = Followed(0, 0, 0, 0, "asset_triggered", {})
                return Told("+14155550102", [], followed, empty, empty, [], problems)

        monkeypatch.setattr(main, "SandboxProcess", Sandbox)
        monkeypatch.setattr(main, "LocalAirflow", Airflow)
        monkeypatch.setattr(main, "Story", Story)
        monkeypatch.setattr(main, "show", lambda *_: None)
        monkeypatch.setattr(main, "connection", lambda _, stack, **more: {"stack": stack, **more})

    def act(self) -> None:
        """What happens during the story."""

    def play(self, *, leave: bool, history: bool = False) -> int:
        return main.run(argparse.Namespace(exit=leave, stack=self.stack, history=history))


def played(stack: str) -> list[str]:
    """What happens in a demo that comes to its end."""
    return [
        f"sandbox story:{stack},200:{stack}",
        f"airflow with twilio_default for {stack}",
        "airflow ready",
        "story",
        "airflow ended",
        "sandbox ended",
    ]


ALL = played("conversations")


@pytest.mark.parametrize(("problems", "code"), [([], 0), (["Ada's channel should be retired."], 1)])
def test_exit_tells_whether_it_came_out_as_expected(
    problems: list[str], code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scene = Scene(monkeypatch, problems)
    assert scene.play(leave=True) == code
    assert scene.events == ALL
    out = capsys.readouterr().out
    assert ("Everything as expected" in out) is not bool(problems)
    assert all(problem in out for problem in problems)
    assert "Airflow is open" not in out


def test_a_history_is_made_up_when_the_story_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch, [])
    assert scene.play(leave=True, history=True) == 0
    assert scene.events == [*ALL[:4], "run flexsms.demo.history", *ALL[4:]]


@pytest.mark.parametrize(("problems", "code"), [([], 0), (["Ada's channel should be retired."], 1)])
def test_without_exit_it_stays_until_it_is_interrupted(
    problems: list[str], code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scene = Scene(monkeypatch, problems)
    monkeypatch.setattr("time.sleep", lambda _: signal.raise_signal(signal.SIGTERM))
    assert scene.play(leave=False) == code
    assert scene.events == ALL
    out = capsys.readouterr().out
    assert "Airflow is open: http://127.0.0.1:2" in out
    assert "from +1 415-555-0102 to whom you like" in out
    assert "http://127.0.0.1:2/plugin/flexsms, the dashboard" in out
    assert "\nexport AIRFLOW=http://127.0.0.1:2 PASSWORD=pw\n" in out
    account = f"AC{'1' * 32}:{'2' * 32}"
    assert f"\nexport SANDBOX=http://127.0.0.1:1 ACCOUNT={account} SYNC=IS{'3' * 32}\n" in out


@pytest.mark.parametrize("stack", STACKS)
def test_it_plays_on_the_stack_that_is_wanted(
    stack: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scene = Scene(monkeypatch, [])
    scene.stack = stack
    assert scene.play(leave=True) == 0
    assert scene.events == played(stack)
    assert f"as expected on the {stack} stack" in capsys.readouterr().out


def test_an_airflow_that_ends_by_itself_is_no_success(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scene = Scene(monkeypatch, [])
    scene.running = False
    assert scene.play(leave=False) == 1
    assert "Airflow ended by itself" in capsys.readouterr().out
    assert scene.events == ALL


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (DemoFailed("flexsms_send failed [x]."), 1, "flexsms_send failed [x]."),
        (ApiError("Airflow answered 500"), 1, "Airflow answered 500"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_a_story_that_breaks_off_ends_everything(
    error: BaseException,
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    scene = Scene(monkeypatch, [])

    def act() -> None:
        raise error

    monkeypatch.setattr(scene, "act", act)
    assert scene.play(leave=True) == code
    assert scene.events == ALL
    assert said in capsys.readouterr().out


def test_while_it_ends_nothing_interrupts_it(capsys: pytest.CaptureFixture[str]) -> None:
    main._stop_listening(View())
    for one in main.ENDINGS:
        signal.raise_signal(one)
    assert "Ending Airflow" in capsys.readouterr().out


def test_homes_below_here_are_shown_short(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert main._short(tmp_path / ".airflow" / "flexsms-demo") == ".airflow/flexsms-demo"
    assert main._short(Path("/elsewhere/x")) == "/elsewhere/x"
