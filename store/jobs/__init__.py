"""Work on a store that computes: collect, train, test, evolve, search."""
