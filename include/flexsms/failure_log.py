"""Puts the sentence of an error where a person sees it first."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from flexsms.core.exceptions import FlexSmsError


def tell_failure(work: Callable[..., Any]) -> Callable[..., Any]:
    """Log the sentence of an error of ours before Airflow logs the traceback, which it indents and does not wrap.

    :param work: a method of an operator that Airflow calls, like ``execute``
    """

    @wraps(work)
    def told(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return work(self, *args, **kwargs)
        except FlexSmsError as error:
            self.log.error("%s", error.cause_first)
            raise

    return told
