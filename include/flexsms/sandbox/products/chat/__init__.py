"""Programmable Chat v2: https://www.twilio.com/docs/chat/rest"""
