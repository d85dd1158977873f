"""Programs in forms that others read."""
