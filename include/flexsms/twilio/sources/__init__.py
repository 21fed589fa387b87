"""Where task events are pulled from, behind one Protocol."""
