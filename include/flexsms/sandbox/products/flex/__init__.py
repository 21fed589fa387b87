"""Flex v1: flows, channels, interactions and configuration: https://www.twilio.com/docs/flex/developer"""
