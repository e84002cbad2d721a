"""The families: each a function from a workbench to a case."""
