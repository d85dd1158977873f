"""What a program looks at, and what moves its score."""
