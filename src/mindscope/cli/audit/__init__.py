"""`mindscope audit`."""
