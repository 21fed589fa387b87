"""Where task events come from when it is not Twilio's API."""
