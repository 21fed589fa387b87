"""Params of DAGs: the fields of their trigger forms."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from airflow.sdk import Context, Param

from flexsms.core.exceptions import InvalidInput
from flexsms.core.redaction import redact
from flexsms.options import choice_option, conn_id_option, flag_option, option, optional_number_option
from flexsms.twilio.client.fields import CONN_ID

# Without `section`, a field stands in the first part of the form.
# A form says of a value that does not fit no more than the keyword of JSON schema that refused it, and repeats the
# value. So the tasks check what they can say better: numbers, SIDs, texts that are too long.


def form(**params: Param) -> dict[str, Param]:
    """The params of a DAG. A title that is not the param's name gets it behind: errors and ``conf`` have the names."""
    for name, param in params.items():
        title = param.schema["title"]
        if title.lower().replace(" ", "_") != name:
            param.schema["title"] = f"{title} ({name})"
    return params


def conn_param(description: str = "The Airflow connection of type twilio.", **more: Any) -> Param:
    """The Airflow connection."""
    return Param(
        conn_id_option(),
        description,
        type="string",
        title="Connection",
        pattern=f"^{CONN_ID}$",
        maxLength=200,
        **more,
    )


def phone_param(title: str, description: str, from_option: str = "", **more: Any) -> Param:
    """A phone number. What is wrong with one the task says in a sentence, as no pattern of a form could.

    :param from_option: the option that may hold a number to begin with
    """
    if from_option and (number := option(from_option)):
        more["default"] = number
    return Param(
        description=description, title=title, minLength=1, **{"type": "string", "maxLength": 64, **more}
    )


def text_param(title: str, description: str, **more: Any) -> Param:
    """A text that may be left out."""
    return Param(None, description, title=title, type=["null", "string"], **more)


def flag_param(default: bool, title: str, description: str, **more: Any) -> Param:
    """A switch."""
    return Param(default, description, title=title, type="boolean", **more)


def choice_param(choices: Mapping[str, str], title: str, description: str, from_option: str = "") -> Param:
    """One of some words.

    :param choices: what each word stands for
    :param from_option: the option that names the word to begin with; without it, that is the first
    """
    return Param(
        choice_option(from_option, choices) if from_option else next(iter(choices)),
        description,
        title=title,
        type="string",
        enum=list(choices),
        values_display={word: f"{word}: {meaning}" for word, meaning in choices.items()},
    )


def approve_over_param(from_option: str, description: str) -> Param:
    """How many a run may concern without a person's approval.

    Where somebody else than who starts a run has to approve it, they cannot give it more leave than the option does.

    :param from_option: the option that holds the number to begin with, if any
    """
    most = optional_number_option(from_option, low=0, high=10**9)
    is_bound = most is not None and flag_option("second_person")
    bound = {"type": "integer", "maximum": most} if is_bound else {"type": ["null", "integer"]}
    note = f"At most {most}, because the option second_person is on." if is_bound else "Empty: any number."
    return Param(most, f"{description} {note}", title="Approve over", minimum=0, **bound)


def refuse_unknown(context: Context) -> None:
    """The ``pre_execute`` of a DAG's first task: no run begins whose conf has a key that sets no param.

    Airflow takes any key, and leaves the param that was meant at its default. With its option
    ``[core] dag_run_conf_overrides_params`` off, it leaves every param there.

    :raises InvalidInput: with the nearest param, by its name or by its title in the form; or with the option
    """
    params = context["dag"].params
    titles = {params.get_param(name).schema["title"].partition(" (")[0].lower(): name for name in params}
    meant = titles | {name: name for name in params}
    for key, value in (context["dag_run"].conf or {}).items():
        error = None
        if key not in params:
            near = get_close_matches(key.lower(), meant, n=1)
            remedy = f"did you mean {meant[near[0]]}?" if near else f"give one of {', '.join(params)}"
            error = InvalidInput("conf", f"there is no '{redact(key)}'", remedy)
        elif context["params"].get(key) != value:
            error = InvalidInput(
                "conf",
                f"Airflow leaves {key} at its default",
                "set its option [core] dag_run_conf_overrides_params to True",
            )
        if error:
            context["task"].log.error("%s", error)
            raise error
