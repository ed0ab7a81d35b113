"""HOW a space is searched: the loop, its records on disk, and its result."""
