"""Flex Conversations: the generation that Twilio serves today."""
