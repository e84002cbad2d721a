"""`mindscope feature`."""
