"""The command line: `mindscope NOUN VERB`, one file a noun.

Nothing here imports torch before a command needs it, so that help and lists come at once.
"""

from mindscope.cli.app import main

__all__ = ["main"]
