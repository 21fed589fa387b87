"""Lists of recipients: where they are read from, how they are checked, and where a broadcast keeps its files."""
