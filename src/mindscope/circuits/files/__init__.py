"""Graphs in the public JSON form: written and read."""
