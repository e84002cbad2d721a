"""Between a command and its terminal: streams, what is printed and never obeyed, stops, and the session.

`output.py` is the one module that prints. `session.py` knows the command line and the run folder it works in.
"""
