"""`mindscope library`."""
