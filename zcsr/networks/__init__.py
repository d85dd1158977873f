"""Untrained networks: their weights, the images they see, and the tensors of their instances; and trained ones."""
