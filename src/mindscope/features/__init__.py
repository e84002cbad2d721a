"""What a feature is: a direction that is read at one place and written at another."""

from mindscope.features.direction import Direction

__all__ = ["Direction"]
