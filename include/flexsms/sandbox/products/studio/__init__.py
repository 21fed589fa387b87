"""Studio v2: https://www.twilio.com/docs/studio/rest-api/v2"""
