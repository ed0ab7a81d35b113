"""Networks that a search trains for real: a few while it runs, to predict the others, and its front at its end."""
