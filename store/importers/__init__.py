"""What users hold, brought into the store."""
