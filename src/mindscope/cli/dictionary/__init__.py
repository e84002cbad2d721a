"""`mindscope dictionary`."""
