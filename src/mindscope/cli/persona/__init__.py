"""`mindscope persona`."""
