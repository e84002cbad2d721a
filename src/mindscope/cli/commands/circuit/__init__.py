"""`mindscope circuit`."""
