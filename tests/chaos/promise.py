"""The promises, each in a sentence, and one that did not hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

PROMISES: Mapping[str, str] = {
    "once": "No text reaches a customer twice.",
    "sent": "What a green send reports has left.",
    "honest": "A send that has failed says whether its text has left.",
    "led": "A task that is open, or that an agent ended, leads to every text of a customer.",
    "one task": "No customer has two open tasks because of flexsms.",
    "live": "A channel with an open task is in use: active, long-lived, and with its session.",
    "orphan": "No open task is on a channel that flexsms deleted or closed.",
    "window": "No channel is retired before its window is over.",
    "retired": "What is quiet for longer than the window is retired in the end.",
    "apart": "Agent and Studio flow are never both on a conversation because of flexsms.",
    "used": "No conversation holds a customer in which there was never a text, a task or a flow.",
    "session": "No session is open on a channel that is inactive or deleted.",
    "others": "Attributes of others survive with their values.",
    "ledger": "The last line of the ledger about a channel is true.",
    "state": "A channel's state in Sync says what the fold of all its events says.",
    "calm": "A second cleanup right after the first writes nothing.",
    "tree": "Every error that leaves an operator is in the tree of flexsms.core.exceptions.",
    "small": "Every document stays within 16 KiB.",
    "keys": "A send that is over holds no key and no turn.",
    "campaign": "Nobody gets two texts under one campaign.",
    "reached": "Everybody who should have a text of a campaign has one, once it has run again without faults.",
    "campaigns": "What one campaign has sent keeps no text of another from leaving.",
    "hours": "No text of a broadcast leaves outside of its hours, before not_before, or from not_after on.",
    "opted out": "No text leaves for a number of which flexsms knew before the text began that it had opted out.",
    "heard": "What flexsms knows of a number is what its customer, or Twilio, has said last.",
    "told": "What the report of a broadcast says of a row is what has left.",
    "pace": "All workers together begin no more texts than max_per_second.",
    "private": "No phone number and no text is in XCom, errors or log lines.",
    "cleared": "A send that has failed goes through when it is cleared after the faults are over.",
    "through": "Without faults, tracking and cleaning up go through.",
    "ends": "Everything comes to an end.",
    "sandbox": "The sandbox makes no mistake of its own.",
}


@dataclass(frozen=True, slots=True)
class Broken:
    """A promise that did not hold.

    :param name: of the promise
    :param detail: what was found
    """

    name: str
    detail: str

    def told(self) -> str:
        """For a person."""
        return f"{self.name}: {PROMISES[self.name]}\n  {self.detail}"


Check = Iterator[Broken]
