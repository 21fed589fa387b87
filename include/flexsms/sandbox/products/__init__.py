"""One module per emulated Twilio product."""
