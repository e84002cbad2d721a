"""Whether a steering server does what it says: known vectors are sent, and what comes back is held against a
reference pass of the same model.
"""
