"""`flexsms demo`: start the local Twilio and Airflow, play the story, print it, and stay until Ctrl-C."""

from __future__ import annotations

import argparse
import os
import signal
import time
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

from phonenumbers import PhoneNumberFormat, format_number, parse

from flexsms.demo.airflow_api import ApiError
from flexsms.demo.broadcast import LIST
from flexsms.demo.console import View
from flexsms.demo.local_airflow import USER, DemoFailed, LocalAirflow
from flexsms.demo.report import show
from flexsms.demo.story import DAGS, Story
from flexsms.sandbox.client import Json, SandboxProcess, connection_extra

SEED = "story:{stack},200:{stack}"
INTERRUPTED = 130
ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run(args: argparse.Namespace) -> int:
    """Play the demo.

    :returns: 0 when the story came out as expected, 1 when not, 130 when it was interrupted before its end
    """
    view = View()
    for one in ENDINGS:
        signal.signal(one, _interrupt)
    try:
        with ExitStack() as running:
            return _run(running, view, args.stack, stay=not args.exit, with_history=args.history)
    except KeyboardInterrupt:
        return INTERRUPTED
    except (ApiError, DemoFailed) as error:
        view.console.print(f"\n{error}", style="red", markup=False)
        return 1


def _run(running: ExitStack, view: View, stack: str, *, stay: bool, with_history: bool) -> int:
    began = time.monotonic()
    home = demo_home(os.environ)
    with view.step("Start the local Twilio") as step:
        sandbox = running.enter_context(SandboxProcess(seed=SEED.format(stack=stack)))
        step.result = f"{sandbox.base_url}  (stack: {stack})"
    with view.step("Start Airflow") as step:
        airflow = LocalAirflow(home)
        airflow.connections["twilio_default"] = connection(
            sandbox.settings,
            stack,
            inbox_path=f"file://{home / 'inbox'}",
            events_url=f"{airflow.url}/flexsms/events",
        )
        running.enter_context(airflow)
        running.callback(_stop_listening, view)
        airflow.wait_until_ready(DAGS, step.tell)
        step.result = f"{airflow.url}  (home: {_short(home)})"
    told = Story(airflow.api, sandbox.control, view, home).play()
    show(told, view)
    if told.problems:
        view.problems(told.problems)
    else:
        took = f"{time.monotonic() - began:.0f} s"
        view.say(f"\n[green bold]✓ Everything as expected[/] on the [bold]{stack}[/] stack, in {took}.")
    if with_history:
        with view.step("Make up 90 days") as step:
            airflow.run_module("flexsms.demo.history")
            step.result = (
                "of cleanups and broadcasts, a day of tracking, a week of single texts: see the dashboard"
            )
    if stay:
        _invite(view, airflow, sandbox.settings, told.number, home / LIST)
        _stay(airflow)
    return 1 if told.problems else 0


def _invite(view: View, airflow: LocalAirflow, settings: Json, number: str, people: Path) -> None:
    view.say(f"\n[bold]Airflow is open:[/] {airflow.url}")
    view.say(f"  log in as [bold]{USER}[/] with the password [bold]{airflow.password}[/]")
    view.say(f"  send a text: {airflow.url}/dags/flexsms_send, button Trigger")
    view.say(f"    from {_spelled(number)} to whom you like: it goes no further than the local Twilio")
    view.say(f"  text a list: {airflow.url}/dags/flexsms_broadcast, button Trigger, with the list {people}")
    view.say(f"  read and answer texts as the customers: {settings['base_url']}/_sandbox/handsets")
    view.say(f"  see what has been counted: {airflow.url}/plugin/flexsms, the dashboard")
    view.say(f"  test the connection: {airflow.url}/connections")
    view.say(
        "  nothing runs by the clock here: only what you start, and flexsms_track when events have been posted"
    )
    view.say("\nFor the walk with curl (docs/quickstart.md), in another terminal:\n")
    view.verbatim(f"export AIRFLOW={airflow.url} PASSWORD={airflow.password}")
    account = f"{settings['account_sid']}:{settings['auth_token']}"
    view.verbatim(
        f"export SANDBOX={settings['base_url']} ACCOUNT={account} SYNC={settings['sync_service_sid']}"
    )
    view.say("\nCtrl-C ends Airflow and the local Twilio.")


def _stay(airflow: LocalAirflow) -> None:
    try:
        while airflow.is_running:
            time.sleep(0.5)
    except KeyboardInterrupt:
        return
    raise DemoFailed(f"Airflow ended by itself. The end of {airflow.log}:\n\n{airflow.tail()}")


def demo_home(environment: os._Environ[str] | dict[str, str]) -> Path:
    """The demo's own AIRFLOW_HOME: a folder in AIRFLOW_HOME, or in `.airflow` right here when that is unset."""
    return Path(environment.get("AIRFLOW_HOME") or ".airflow").expanduser().absolute() / "flexsms-demo"


def connection(settings: Json, stack: str, **extra: str) -> Json:
    """The Airflow connection to a sandbox.

    :param settings: as the sandbox tells them, with its ``base_url``
    :param stack: that new conversations are opened on
    :param extra: further fields
    """
    return {
        "conn_type": "twilio",
        "login": settings["account_sid"],
        "password": settings["auth_token"],
        "extra": {**connection_extra(settings, stack=stack), **extra},
    }


def _interrupt(_signum: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _stop_listening(view: View) -> None:
    """From here on everything is being ended; another Ctrl-C would only leave that half-done."""
    for one in ENDINGS:
        signal.signal(one, signal.SIG_IGN)
    view.say("Ending Airflow and the local Twilio …")


def _spelled(number: str) -> str:
    return format_number(parse(number), PhoneNumberFormat.INTERNATIONAL)


def _short(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
