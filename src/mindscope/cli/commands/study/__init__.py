"""`mindscope study`."""
