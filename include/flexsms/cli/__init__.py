"""The command `flexsms`."""
