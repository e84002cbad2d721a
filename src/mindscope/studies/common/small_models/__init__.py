"""Models that are small enough to train many of: toys of superposition, and transformers side by side.

They are handed on by `studies/common`.
"""
