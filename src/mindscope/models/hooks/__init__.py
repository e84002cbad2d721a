"""Reading and writing activations in a forward pass: hook points, edits, reductions."""
