"""Steering as weights: edits that a checkpoint can hold, found by asking the model."""
