"""Notifiers are tried as operators are."""

from tests.operators.conftest import connection

__all__ = ["connection"]
