"""Tracking: task events become channel states."""
