"""WHAT a network looks like: the rows of its program as a picture."""
