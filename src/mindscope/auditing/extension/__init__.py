"""Inspect AI, extended: a model provider that steers and watches, tools, a solver, scorers and tasks.

Needs the extra `inspect`. Inspect finds it by its entry point, `registry.py`; nothing here is imported by the
rest of the package.
"""
