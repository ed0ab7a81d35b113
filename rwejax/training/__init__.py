"""WHAT becomes of a found network: it is trained for real, from new weights."""
