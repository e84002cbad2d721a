"""`mindscope organism`."""
