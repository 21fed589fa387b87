"""A check at the last moment before a request leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_check: ContextVar[Callable[[], None] | None] = ContextVar("check", default=None)


@contextmanager
def checked_before_sending(*checks: Callable[[], None]) -> Iterator[None]:
    """Let checks stop the requests of a block at the last moment, the repeated ones too.

    A timeout alone does not: the clock by which it is measured stands still while a machine sleeps.

    :param checks: raise when a request must not leave any more; those of a block around this one count, too
    """
    around = _check.get()

    def all_of_them() -> None:
        if around:
            around()
        for check in checks:
            check()

    token = _check.set(all_of_them)
    try:
        yield
    finally:
        _check.reset(token)


def check_now() -> None:
    """Run the check of the block that is worked on, if it has one."""
    check = _check.get()
    if check:
        check()
