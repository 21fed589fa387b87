"""Event Streams v1: https://www.twilio.com/docs/events"""
