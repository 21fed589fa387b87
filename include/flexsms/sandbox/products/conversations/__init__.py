"""Conversations v1: https://www.twilio.com/docs/conversations/api"""
