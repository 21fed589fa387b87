"""Messaging, API 2010-04-01: https://www.twilio.com/docs/messaging/api/message-resource"""
