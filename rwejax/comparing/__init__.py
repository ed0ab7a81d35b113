"""Several searches beside each other."""
