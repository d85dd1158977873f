"""How things are kept in files: runs, collections, accuracies, images, costs."""
