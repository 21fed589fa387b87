"""Twilio Sync: documents and maps, every write guarded by a revision."""
