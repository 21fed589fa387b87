"""Sending one text, once."""
