"""SQL over the files: the DuckDB index, and connections that only read."""
