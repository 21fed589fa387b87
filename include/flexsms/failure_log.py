"""Puts the sentence of an error where a person sees it first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import wraps
from typing import Any

from flexsms.core.exceptions import FlexSmsError
from flexsms.core.redaction import redact

FAILURE = "failure"  # the key of the XCom


def tell_failure(
    work: Callable[..., Any], about: Callable[[Any], Mapping[str, str]] = lambda _: {}
) -> Callable[..., Any]:
    """Log the sentence of an error of ours before Airflow logs the traceback, which it indents and does not wrap.

    A task that fails leaves no asset event, so the sentence is its XCom ``failure``, too: the dashboard has it from
    there. Airflow removes it when the task is tried again.

    :param work: a method of an operator that Airflow calls with the context, like ``execute``
    :param about: what the XCom holds beside the class of the ``error`` and its ``sentence``, from the operator: no
        number, name or text
    """

    @wraps(work)
    def telling(self: Any, context: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return work(self, context, *args, **kwargs)
        except FlexSmsError as error:
            self.log.error("%s", error.cause_first)
            with suppress(Exception):  # the error counts, wherever it can be told
                told = {"error": type(error).__name__, "sentence": redact(error.cause_first), **about(self)}
                context["ti"].xcom_push(FAILURE, told)
            raise

    return telling
