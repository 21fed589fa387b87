"""TaskRouter: its events, its list of tasks, and the tasks themselves."""
