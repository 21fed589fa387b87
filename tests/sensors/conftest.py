"""Sensors are tried as operators are."""

from tests.operators.conftest import connection, context, stack

__all__ = ["connection", "context", "stack"]
