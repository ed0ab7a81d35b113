"""HOW runs are kept on disk: atomic files, YAML configs, run folders and checkpoints."""
