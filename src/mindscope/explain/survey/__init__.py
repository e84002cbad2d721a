"""The survey of all features over a corpus: what is kept while activations stream past, and its results."""
