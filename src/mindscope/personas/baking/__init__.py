"""Which steering to bake into weights: a search over layers and coefficients, and its Pareto front."""
