"""A check at the last moment before a request leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_check: ContextVar[Callable[[], None] | None] = ContextVar("check", default=None)


@contextmanager
def checked_before_sending(check: Callable[[], None]) -> Iterator[None]:
    """Let a check stop the requests of a block at the last moment, the repeated ones too.

    A timeout alone does not: the clock by which it is measured stands still while a machine sleeps.

    :param check: raises when a request must not leave any more; the check of a block around this one counts, too
    """
    around = _check.get()

    def both() -> None:
        if around:
            around()
        check()

    token = _check.set(both)
    try:
        yield
    finally:
        _check.reset(token)


def check_now() -> None:
    """Run the check of the block that is worked on, if it has one."""
    check = _check.get()
    if check:
        check()
