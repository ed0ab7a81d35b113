"""WHAT a user types: the command `rwejax`, a module a subcommand, which parses, calls one function and prints."""
