"""Cleaning up: find the channels that are due, and retire them without cutting off a live one."""
