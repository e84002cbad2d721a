"""The families."""
