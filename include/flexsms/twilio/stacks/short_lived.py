"""The attributes that make a channel short-lived, and those that it had before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# The two attributes that make a channel short-lived.
RETIRED: Mapping[str, Any] = {"long_lived": False, "status": "INACTIVE"}
# What the two were, on a channel where they were not the usual ones: whoever puts it back finds that on the channel.
BEFORE = "flexsms_before"
OURS = (*RETIRED, BEFORE)


def marks(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the two attributes that are there."""
    return {name: attributes[name] for name in RETIRED if name in attributes}


def bears_our_mark(attributes: Mapping[str, Any]) -> bool:
    """Whether both attributes are as retiring writes them, always together; anything else is somebody else's."""
    return marks(attributes) == RETIRED


def retired(attributes: Mapping[str, Any], usual: Mapping[str, Any]) -> dict[str, Any]:
    """All attributes of a channel as retiring writes them.

    :param usual: what the two attributes of an ordinary channel are
    """
    before = marks(attributes)
    if before == RETIRED:
        return dict(attributes)
    noted = {} if before == usual else {BEFORE: before}
    return {**_of_others(attributes), **RETIRED, **noted}


def restored(attributes: Mapping[str, Any], usual: Mapping[str, Any]) -> dict[str, Any]:
    """All attributes of a channel as they were before :func:`retired`."""
    before = attributes.get(BEFORE)
    return {**_of_others(attributes), **(marks(before) if isinstance(before, Mapping) else usual)}


def rebased(attributes: Mapping[str, Any], written: Mapping[str, Any]) -> dict[str, Any]:
    """What was to be written, with what others have written meanwhile.

    :param attributes: as they are now
    :param written: as they were to become
    """
    return {**_of_others(attributes), **{name: written[name] for name in OURS if name in written}}


def _of_others(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if name not in OURS}
