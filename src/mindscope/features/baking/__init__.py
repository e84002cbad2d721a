"""Edits in the weights of an ordinary checkpoint, compared with the steered model before it is kept."""
