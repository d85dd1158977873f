"""Data that ships with zcsr: a small measured benchmark and its images."""
