"""WHERE things run: devices, hosts, signals, caches and the environment that a run records."""
