"""Training sparse dictionaries: methods, objective, kernels, sources of activations."""
