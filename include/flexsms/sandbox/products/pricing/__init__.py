"""Pricing v1: https://www.twilio.com/docs/messaging/api/pricing"""
