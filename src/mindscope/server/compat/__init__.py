"""Requests of other steering servers, answered in their forms."""
