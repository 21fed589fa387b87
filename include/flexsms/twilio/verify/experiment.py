"""An experiment: a function that asks Twilio, and what it needs and costs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from flexsms.core.stack_name import StackName
from flexsms.core.verify import Price
from flexsms.twilio.verify.own import Own


class Note(Protocol):
    """Writes down what was found."""

    def __call__(self, name: str, found: str) -> None:
        """Write down an answer.

        :param name: the assumption's
        :param found: in its words, see :class:`flexsms.core.verify.Assumption`
        """
        ...


Run = Callable[[Own, Note], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Experiment:
    """A function that answers one or more assumptions together, because they can share what it makes.

    :param names: the assumptions that it answers
    :param stack: the stack that it is about, None: either
    :param needs: options of the command that it cannot do without
    :param fields: fields of the connection that it cannot do without
    """

    run: Run
    names: tuple[str, ...]
    stack: StackName | None
    needs: tuple[str, ...]
    fields: tuple[str, ...]
    price: Price


def experiment(
    *names: str,
    stack: StackName | None = None,
    needs: tuple[str, ...] = (),
    fields: tuple[str, ...] = (),
    tasks: int = 0,
    texts: int = 0,
    requests: int = 0,
) -> Callable[[Run], Experiment]:
    """Make an experiment of a function; see :class:`Experiment` and :class:`flexsms.core.verify.Price`."""

    def made(run: Run) -> Experiment:
        return Experiment(run, names, stack, needs, fields, Price(tasks, texts, requests))

    return made
