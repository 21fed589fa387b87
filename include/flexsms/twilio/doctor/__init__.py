"""Examining an account: whether everything that the three jobs need is there and works."""
