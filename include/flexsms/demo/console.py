"""What the person at the terminal sees: one line per step, moving while it is worked on, and tables at the end."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.status import Status
from rich.table import Table

PLAIN_WIDTH = 120


class Step:
    """A step that is being worked on.

    :param title: what is being done
    """

    def __init__(self, title: str, console: Console, status: Status | None) -> None:
        self.title = title
        self.result = ""
        self._console = console
        self._status = status

    def tell(self, what: str) -> None:
        """Say what is happening or being waited for."""
        if self._status is not None:
            self._status.update(f"{escape(self.title)}  [dim]{escape(what)}[/]")
        else:
            self._console.print(f"    {escape(what)}")


class View:
    """The console, plain where it is no terminal."""

    def __init__(self, console: Console | None = None) -> None:
        is_terminal = sys.stdout.isatty()
        self.console = console or Console(width=None if is_terminal else PLAIN_WIDTH, highlight=False)

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Show a step from its beginning to its end: a tick, its ``result``, the seconds it took."""
        began = time.monotonic()
        if self.console.is_terminal:
            with self.console.status(escape(title)) as status:
                step = Step(title, self.console, status)
                yield from self._work(step)
        else:
            self.console.print(f"… {escape(title)}")
            step = Step(title, self.console, None)
            yield from self._work(step)
        took = f"[dim]{time.monotonic() - began:.0f} s[/]"
        self.console.print(f"[green]✓[/] [bold]{escape(step.title)}[/]  {escape(step.result)}  {took}")

    def _work(self, step: Step) -> Iterator[Step]:
        try:
            yield step
        except BaseException:
            self.console.print(f"[red]✗[/] [bold]{escape(step.title)}[/]")
            raise

    def say(self, text: str = "") -> None:
        """A line of text; rich's markup is understood."""
        self.console.print(text)

    def verbatim(self, line: str) -> None:
        """A line to be copied: as it is, and never broken."""
        self.console.print(line, markup=False, soft_wrap=True)

    def table(self, title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """A table with a title. Cells may hold markup."""
        table = Table(title=title, title_justify="left", title_style="bold", header_style="dim", expand=False)
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*row)
        self.console.print()
        self.console.print(Padding(table, (0, 0, 0, 2), expand=False))

    def problems(self, sentences: Sequence[str]) -> None:
        """What did not come out as it should have."""
        self.console.print("\n[red bold]✗ Not as expected:[/]")
        for sentence in sentences:
            self.console.print(f"  [red]•[/] {escape(sentence)}")
