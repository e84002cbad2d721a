"""`mindscope vectors`."""
