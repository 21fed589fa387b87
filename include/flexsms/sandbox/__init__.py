"""A stateful local Twilio. Imports nothing else of flexsms."""
