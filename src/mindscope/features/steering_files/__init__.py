"""Steering as a file that says all about itself and can be tested by what it does to a few prompts."""
