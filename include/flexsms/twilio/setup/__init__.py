"""Setting an account up: find what is there, make what is missing."""
