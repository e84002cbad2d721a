"""Writing answers: decoding batches, sampling, controllers, the cache."""
