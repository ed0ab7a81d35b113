"""HOW a network is written as Python source: its operations as expressions, and the definitions that these use."""
