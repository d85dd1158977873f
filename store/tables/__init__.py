"""What tables there are, one declaration each."""
