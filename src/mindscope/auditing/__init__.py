"""Auditing: find what a model hides, with tools that have a price, and know how often they are wrong."""
