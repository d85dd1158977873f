"""Where work is done: a small port for workers, and the engines behind it."""
