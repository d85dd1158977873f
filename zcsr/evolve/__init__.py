"""Evolution of programs (EZNAS, Algorithm 1): configuration, tasks, the loop, and its records."""
