"""Routes by host and path template, found by walking the path's segments once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..http import NotFound, Problem, Request, Response
from ..state.account import EmulatedAccount
from .call import Call
from .paging import without_paging
from .params import NONE, Params

# A handler gets the call and the variable segments of its path, in order.
Handler = Callable[..., Response]


@dataclass(frozen=True, slots=True)
class Route:
    method: str
    host: str
    template: str
    handler: Handler
    params: Params
    paged: bool

    def answer(self, account: EmulatedAccount, request: Request, found: list[str]) -> Response:
        fields = request.form if request.method == "POST" else request.query
        values = self.params.read(without_paging(fields) if self.paged else fields)
        return self.handler(Call(account, request, values), *found)


class Router:
    """The routes of one host. Paths are templates: `/v1/Services/{service}/Documents/{document}`."""

    def __init__(self, host: str) -> None:
        self.host = host
        self._tree: dict[Any, Any] = {}

    def get(
        self, template: str, params: Params = NONE, *, paged: bool = False
    ) -> Callable[[Handler], Handler]:
        return self._add("GET", template, params, paged)

    def post(self, template: str, params: Params = NONE) -> Callable[[Handler], Handler]:
        return self._add("POST", template, params, False)

    def delete(self, template: str) -> Callable[[Handler], Handler]:
        return self._add("DELETE", template, NONE, False)

    def _add(self, method: str, template: str, params: Params, paged: bool) -> Callable[[Handler], Handler]:
        def register(handler: Handler) -> Handler:
            node = self._tree
            for segment in template.strip("/").split("/"):
                node = node.setdefault("*" if segment.startswith("{") else segment, {})
            node["", method] = Route(method, self.host, template, handler, params, paged)
            return handler

        return register

    def find(self, request: Request) -> tuple[Route, list[str]]:
        """The route of a request and the variable segments of its path; Problem 404 or 405 when there is none."""
        node: dict[Any, Any] | None = self._tree
        found: list[str] = []
        for segment in request.segments:
            assert node is not None  # noqa: S101 (for the type checker)
            literal = node.get(segment)
            if literal is None:
                found.append(segment)
                literal = node.get("*")
            node = literal
            if node is None:
                raise NotFound(request.path)
        route = node.get(("", request.method)) if node else None
        if route is None:
            if node and any(isinstance(key, tuple) for key in node):
                raise Problem(405, 20004, f"Method {request.method} is not allowed on {request.path}")
            raise NotFound(request.path)
        return route, found


ROUTERS: dict[str, Router] = {}


def router(host: str) -> Router:
    """The router of a host, made at import of its product module."""
    return ROUTERS.setdefault(host, Router(host))
