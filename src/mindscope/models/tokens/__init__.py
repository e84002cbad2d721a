"""Tokens and whose they are: rows, chat templates, batches, text while it is written."""
