"""The language of programs: tensors and operations, a row each, and the typed trees made of them."""
