"""Proxy v1: https://www.twilio.com/docs/proxy/api"""
