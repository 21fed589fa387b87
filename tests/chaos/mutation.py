"""A deliberate mutation of flexsms, which random schedules have to notice.

A mutation edits the source of one function, as somebody might who does not know why it is written so. It names the
code that it expects: when that is gone, the mutation says so instead of passing unnoticed.
"""

from __future__ import annotations
import __future__

import inspect
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from .schedule import make
from .story import tell


@dataclass(frozen=True, slots=True)
class Mutation:
    """A change of one function, or of several.

    :param what: is wrong with it
    :param stacks: on which it can show
    :param edits: module and function (``module:Class.function``), the code that is there, and what takes its place
    """

    name: str
    what: str
    edits: Sequence[tuple[str, str, str]]
    stacks: tuple[str, ...] = ("chat", "conversations")

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Live with the mutation for as long as the block lasts.

        :raises LookupError: when the code is no longer there
        """
        with ExitStack() as stack:
            for where, old, new in self.edits:
                stack.enter_context(_edited(where, old, new))
            yield

    def hunt(self, most: int, first: int = 0) -> tuple[int | None, str]:
        """How many schedules it takes until a promise is broken that is not broken without the mutation.

        :param most: schedules to try
        :return: their number, None when none noticed, and what was broken
        """
        for number in range(most):
            stack, seed = self.stacks[number % len(self.stacks)], first + number // len(self.stacks)
            schedule = make(stack, seed)
            with self.applied():
                broken = tell(schedule).names
            if broken and (new := broken - tell(schedule).names):
                return number + 1, f"{', '.join(sorted(new))} ({stack}:{seed})"
        return None, ""


@contextmanager
def _edited(where: str, old: str, new: str) -> Iterator[None]:
    """Give a function other code, wherever it has been imported to."""
    module_name, _, path = where.partition(":")
    owner: Any = import_module(f"flexsms.{module_name}")
    module, (*outer, name) = owner, path.split(".")
    for part in outer:
        owner = getattr(owner, part)
    function = _function(vars(owner)[name])
    source = textwrap.dedent(inspect.getsource(function))
    if old not in source:
        raise LookupError(f"{where} holds no {old!r} any more; mend the mutation")
    flags = __future__.annotations.compiler_flag
    code = compile(source.replace(old, new), inspect.getfile(module), "exec", flags=flags)
    made: dict[str, Any] = {}
    exec(code, vars(module), made)  # noqa: S102  # our own source, with an edit
    before = function.__code__
    function.__code__ = _function(made[name]).__code__
    try:
        yield
    finally:
        function.__code__ = before


def _function(there: Any) -> Any:
    """What is behind a property or a decorator."""
    return inspect.unwrap(there.fget if isinstance(there, property) else there)
