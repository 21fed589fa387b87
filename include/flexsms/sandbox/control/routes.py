"""The control plane under /_sandbox/: JSON in, JSON out, no authentication, for tests, demo and benchmark
only.

GET  health settings switches clock state story journal?after=n outbox contested faults
     deliveries?after=n handsets
POST reset settings clock faults customer agent seed load tasks events perform
PUT  state journal        DELETE faults journal
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import orjson

from ..http import Form, Problem, Response
from ..products.flex import inbound
from ..routing.rate_limits import Limits
from ..state.account import EmulatedAccount
from ..state.clock import iso
from ..state.settings import Settings
from . import bulk_load, handsets, seed, simulate
from .actions import perform
from .faults import Faults
from .journal import Journal

Body = dict[str, Any]


class Control:
    """The account and what surrounds it: faults, limits, journal.

    Parameters
    ----------
    random_seed: of the SIDs and of the seeded history, unless a reset names another.
    """

    def __init__(self, random_seed: int = 1) -> None:
        self.random_seed = random_seed
        self.journal = Journal()
        self.faults = Faults()
        self.limits = Limits()
        self.errors: list[str] = []  # mistakes of the sandbox itself, since the last reset
        self.account = EmulatedAccount(random_seed)
        self._pages = handsets.pages()
        self._routes: dict[tuple[str, str], Callable[[Body, Form], Any]] = {
            ("GET", "/health"): lambda _body, _query: {"ok": not self.errors, "errors": self.errors},
            ("POST", "/reset"): lambda body, _query: self.reset(body),
            ("GET", "/settings"): lambda _body, _query: self.settings(),
            ("POST", "/settings"): self._change_settings,
            ("GET", "/switches"): lambda _body, _query: {"switches": self.account.settings.report()},
            ("GET", "/contested"): lambda _body, _query: {"conversations": inbound.contested(self.account)},
            ("GET", "/clock"): lambda _body, _query: self._clock(),
            ("POST", "/clock"): self._set_clock,
            ("GET", "/state"): lambda _body, _query: self.account.snapshot(),
            ("PUT", "/state"): self._restore,
            ("GET", "/story"): lambda _body, _query: self.account.story,
            ("GET", "/faults"): lambda _body, _query: {
                "faults": [rule.report() for rule in self.faults.rules]
            },
            ("POST", "/faults"): lambda body, _query: self.faults.add(body).report(),
            ("DELETE", "/faults"): self._clear_faults,
            ("POST", "/customer"): lambda body, _query: simulate.customer(
                self.account, body["from"], body["to"], body["body"]
            ),
            ("POST", "/agent"): lambda body, _query: simulate.agent(self.account, **body),
            ("POST", "/perform"): lambda body, _query: {"results": perform(self.account, body["actions"])},
            ("GET", "/journal"): self._read_journal,
            ("PUT", "/journal"): self._switch_journal,
            ("DELETE", "/journal"): self._clear_journal,
            ("GET", "/deliveries"): self._deliveries,
            ("GET", "/outbox"): self._outbox,
            ("POST", "/handsets"): lambda body, _query: handsets.news(self.account, body),
            ("POST", "/seed"): self._seed,
            ("POST", "/load"): lambda body, _query: bulk_load.load(self.account, **body),
            ("POST", "/tasks"): lambda body, _query: bulk_load.open_tasks(self.account, **body),
            ("POST", "/events"): lambda body, _query: bulk_load.events(self.account, **body),
        }

    def answer(self, method: str, path: str, query: Form, raw: bytes) -> Response:
        """One control request. Mistakes are 400 with a sentence in `error`."""
        if method == "GET" and (page := self._pages.get(path.rstrip("/"))):
            return page
        handler = self._routes.get((method, path.rstrip("/")))
        if handler is None:
            return Response(404, orjson.dumps({"error": f"no control {method} {path}"}))
        try:
            body = orjson.loads(raw) if raw else {}
            if not isinstance(body, dict):
                raise ValueError("a JSON object is expected")
            self.account.run_due_timers()
            return Response(200, orjson.dumps(handler(body, query)))
        except Problem as problem:
            return Response(400, orjson.dumps({"error": problem.message, "code": problem.code}))
        except (KeyError, TypeError, ValueError) as error:
            return Response(400, orjson.dumps({"error": f"{type(error).__name__}: {error}"}))

    def reset(self, body: Body) -> Body:
        """A new account. `seed` as on the command line, `random_seed`, and any setting; the rest is default again."""
        body = dict(body)
        what, number = body.pop("seed", "empty"), int(body.pop("random_seed", self.random_seed))
        config = Settings()
        config.change(body)
        account = EmulatedAccount(number, config)
        seed.from_option(account, str(what))
        self.account = account
        self.faults, self.limits = Faults(), Limits()
        self.errors = []
        self.journal.clear()
        return self.settings()

    def settings(self) -> Body:
        return self.account.describe()

    def _change_settings(self, body: Body, _query: Form) -> Body:
        self.account.settings.change(body)
        if "rate_limits" in body:
            self.limits = Limits()
        if "inactive_holds_pair" in body:
            self.account.rebuild()
        return self.settings()

    def _clock(self) -> Body:
        now = self.account.clock.now()
        return {"now": iso(now), "now_s": now, "offset_s": self.account.clock.offset}

    def _set_clock(self, body: Body, _query: Form) -> Body:
        if "runs" in body:
            self.account.clock.run(bool(body["runs"]))
        self.account.clock.advance(float(body.get("advance_s", 0)))
        self.account.run_due_timers()
        return self._clock()

    def _restore(self, body: Body, _query: Form) -> Body:
        self.account = EmulatedAccount.restore(body)
        return self.settings()

    def _clear_faults(self, _body: Body, _query: Form) -> Body:
        self.faults = Faults()
        return {}

    def _read_journal(self, _body: Body, query: Form) -> Body:
        return {
            "entries": self.journal.after(int(query.get("after", ["0"])[-1])),
            "count": self.journal.count,
        }

    def _switch_journal(self, body: Body, _query: Form) -> Body:
        self.journal.enabled = bool(body["enabled"])
        return {"enabled": self.journal.enabled}

    def _clear_journal(self, _body: Body, _query: Form) -> Body:
        self.journal.clear()
        return {}

    def _deliveries(self, _body: Body, query: Form) -> Body:
        return self.account.delivery_queue.report(int(query.get("after", ["0"])[-1]))

    def _outbox(self, _body: Body, _query: Form) -> Body:
        messages = []
        for sms in self.account.store.outbox:
            if sms.direction == "outbound-reply":
                continue
            row = asdict(sms)
            row["from"] = row.pop("from_")
            parent = row.pop("parent")
            row["session_sid"] = parent if parent.startswith("KC") else None
            row["date_created"] = iso(sms.created)
            messages.append(row)
        return {"messages": messages}

    def _seed(self, body: Body, _query: Form) -> Body:
        return seed.crowd_and_story(self.account, **body)
