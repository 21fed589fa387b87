"""Experiments that try on a real account what flexsms assumes of Twilio."""
