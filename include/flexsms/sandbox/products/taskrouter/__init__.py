"""TaskRouter v1: https://www.twilio.com/docs/taskrouter/api"""
