"""The control plane under `/_sandbox/`: what Twilio does not have, for tests, the demo and the benchmark."""
