"""A switch of the emulated account: its default, what it does, what it may be, and who says what Twilio does there."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field, fields
from typing import Any

# Sources of a switch that is about Twilio. A switch without a source is the sandbox's own.
NOBODY = "nobody documents it"
ERRORS = "https://www.twilio.com/docs/api/errors/"


def switch(default: Any, doc: str, *, values: Sequence[Any] = (), source: str = "") -> Any:
    """A field of `Switches`.

    Parameters
    ----------
    default: its type is the type of every value.
    doc: what it does.
    values: all it may be; any value of the type if there are none.
    source: a page of Twilio's that the default follows, or `NOBODY`.
    """
    about = {"doc": doc, "values": list(values), "source": source}
    if isinstance(default, list | dict):
        return field(default_factory=lambda: copy(default), metadata=about)
    return field(default=default, metadata=about)


@dataclass
class Switches:
    """Fields that are changed by name, and told with what they mean."""

    def change(self, values: dict[str, Any]) -> None:
        """All of `values`, or none: ValueError says which is wrong."""
        known = {one.name: one for one in fields(self)}
        if unknown := values.keys() - known.keys():
            raise ValueError(f"unknown setting {', '.join(sorted(unknown))}")
        for name, value in values.items():
            allowed = known[name].metadata["values"]
            if allowed and (value not in allowed or isinstance(value, bool) != isinstance(allowed[0], bool)):
                raise ValueError(f"{name} is {' or '.join(map(str, allowed))}")
            now = getattr(self, name)
            # JSON has one kind of number, and a bool is no number there.
            kind = (int, float) if isinstance(now, int | float) and not isinstance(now, bool) else type(now)
            if not isinstance(value, kind) or isinstance(value, bool) != isinstance(now, bool):
                raise ValueError(f"{name} is a {type(now).__name__}")
        for name, value in values.items():
            setattr(self, name, value)

    def report(self) -> list[dict[str, Any]]:
        """Each switch with its value, its default, and what is known of it."""
        fresh = type(self)()
        return [
            {
                "name": one.name,
                "value": getattr(self, one.name),
                "default": getattr(fresh, one.name),
                **one.metadata,
            }
            for one in fields(self)
        ]
