"""Sync v1: https://www.twilio.com/docs/sync/api"""
