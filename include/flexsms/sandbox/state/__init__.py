"""What an emulated account holds: its rows, its clock, its timers and its settings."""
