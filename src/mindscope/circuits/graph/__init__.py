"""An attribution graph and what is worked out on it: influence, pruning, paths, supernodes, comparison."""
