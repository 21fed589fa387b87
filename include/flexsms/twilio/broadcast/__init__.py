"""Sending many texts: whom a campaign has texted, at which pace they leave, and the loop over a batch."""
