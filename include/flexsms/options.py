"""The options of flexsms in Airflow's configuration, which are the defaults of the DAGs' params and schedules.

DAG files read them when they are parsed. A wrong one fails the import of the DAGs that it is for, in one sentence.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from airflow.sdk import conf
from croniter import CroniterError, croniter

from flexsms.arguments import flag, number, whole_number
from flexsms.core.exceptions import InvalidInput
from flexsms.core.retention import channel_types
from flexsms.core.sending_hours import SendingHours
from flexsms.provider_info import CONFIG
from flexsms.twilio.client.fields import CONN_ID


def option(name: str) -> str:
    """The option ``[flexsms] <name>`` as it is written, its default where nobody has written it."""
    return str(conf.get("flexsms", name, fallback=CONFIG["flexsms"]["options"][name]["default"])).strip()


def number_option(name: str, *, low: float, high: float) -> float:
    """An option that holds a number within a range.

    :raises InvalidInput: naming the option and the range
    """
    value = number(_called(name), option(name), low=low, high=high)
    return int(value) if value.is_integer() else value


def whole_number_option(name: str, *, low: int, high: int) -> int:
    """An option that holds a whole number within a range.

    :raises InvalidInput: naming the option and the range
    """
    return whole_number(_called(name), option(name), low=low, high=high)


def optional_number_option(name: str, *, low: int, high: int) -> int | None:
    """An option that holds a whole number within a range, or nothing.

    :raises InvalidInput: naming the option and the range
    """
    return whole_number_option(name, low=low, high=high) if option(name) else None


def flag_option(name: str) -> bool:
    """An option that is true or false.

    :raises InvalidInput: naming the option
    """
    return flag(_called(name), option(name))


def choice_option(name: str, choices: Collection[str]) -> str:
    """An option that is one of some words.

    :raises InvalidInput: naming the option and the words
    """
    value = option(name)
    if value not in choices:
        raise InvalidInput(_called(name), f"is {value!r}", f"choose one of {', '.join(choices)}")
    return value


def cron_option(name: str) -> str:
    """An option that is a cron expression.

    :raises InvalidInput: naming the option
    """
    value = option(name)
    if not _can_schedule(value):
        raise InvalidInput(
            _called(name), f"{value!r} is no cron expression", "write five fields, like 0 3 * * *"
        )
    return value


def _can_schedule(expression: str) -> bool:
    """Whether Airflow can schedule by it: it takes five fields, and a day that comes, which 30 February does not."""
    if not expression.startswith("@") and len(expression.split()) != 5:
        return False
    try:
        croniter(expression).get_next()
    except CroniterError:
        return False
    return True


def channel_types_option() -> str:
    """Which kinds of channels are retired.

    :raises InvalidInput: naming the option
    """
    value = option("channel_types")
    channel_types(value, field=_called("channel_types"))
    return value


def hours_option() -> str:
    """The local hours in which texts of a broadcast leave.

    :raises InvalidInput: naming the option
    """
    value = option("broadcast_hours")
    try:
        SendingHours.parse(value)
    except InvalidInput:
        raise InvalidInput(
            _called("broadcast_hours"), f"{value!r} is no span of hours", "write it like 08:00-21:00"
        ) from None
    return value


def conn_id_option() -> str:
    """The Airflow connection that DAGs, commands, web app and trigger use unless told otherwise.

    :raises InvalidInput: naming the option
    """
    value = option("twilio_conn_id")
    if not re.fullmatch(CONN_ID, value):
        raise InvalidInput(
            _called("twilio_conn_id"),
            f"{value!r} is no name of an Airflow connection",
            "give letters, digits, '_', '-' and '.', like twilio_default",
        )
    return value


def _called(name: str) -> str:
    return f"Option [flexsms] {name}"
