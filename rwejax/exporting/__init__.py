"""WHAT leaves: a trained network on disk for people who have no rwejax."""
