"""Architecture search with a proxy."""
