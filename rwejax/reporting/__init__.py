"""A run folder as a page: one HTML file with figures to be asked, which needs nothing from a network."""
