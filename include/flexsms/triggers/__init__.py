"""What waits for Twilio without a worker. A trigger only waits; it never sends."""
