"""HOW WELL scores rank: estimators, and what searches minimised, against the accuracies of trained networks."""
