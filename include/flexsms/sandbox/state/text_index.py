"""Texts in the order in which they were sent: all of them, those from and to a Twilio number, those of a customer.

An account has few numbers with many texts each, and many customers with few: only the former are kept in order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count

from .ordered import Ordered
from .rows.messaging import Sms

# An account that takes the place of another one has other versions.
_versions = count()


class TextIndex:
    """Follows from the rows, as all indexes do.

    Parameters
    ----------
    texts: what there is already.
    """

    def __init__(self, texts: Iterable[Sms] = ()) -> None:
        self.version = next(_versions)  # another one whenever a text has come or changed
        self.all: Ordered[Sms] = Ordered()
        self._of_number: dict[tuple[str, bool], Ordered[Sms]] = {}
        self._of_customer: dict[str, dict[str, Sms]] = {}  # whoever's text is the newest comes last
        for text in sorted(texts, key=lambda text: text.position):
            self.add(text)

    def add(self, text: Sms) -> None:
        self.all.add(text.position, text)
        self._of_number.setdefault((text.number, text.inbound), Ordered()).add(text.position, text)
        thread = self._of_customer.pop(text.customer, {})
        thread[text.sid] = text
        self._of_customer[text.customer] = thread
        self.changed()

    def sent(self, text: Sms, at: float) -> None:
        """Its place is another one, once it has left."""
        orders = self.all, self._of_number[text.number, text.inbound]
        for order in orders:
            order.remove(text.position)
        text.sent = at
        for order in orders:
            order.add(text.position, text)

    def changed(self) -> None:
        self.version = next(_versions)

    def of_number(self, number: str, *, inbound: bool) -> Ordered[Sms] | None:
        """Those that a Twilio number has received or sent."""
        return self._of_number.get((number, inbound))

    def of_customer(self, customer: str) -> list[Sms]:
        """In no order that counts."""
        return list(self._of_customer.get(customer, {}).values())

    @property
    def customers(self) -> int:
        return len(self._of_customer)

    def newest(self) -> Iterator[tuple[str, Sms]]:
        """Customers and the newest text of each, the newest first."""
        return (
            (customer, next(reversed(thread.values())))
            for customer, thread in reversed(self._of_customer.items())
        )
