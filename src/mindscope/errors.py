"""The errors a user can mend: each is one line that says what is wrong and what to do."""


class MindscopeError(Exception):
    """Something the user can mend; the command line prints it and exits with code 2."""


class StoreError(MindscopeError):
    """A file or run folder that cannot be used as asked."""


class ModelError(MindscopeError):
    """A model, address, edit or row that cannot be used as asked."""


class DataError(MindscopeError):
    """Conversations, traits or vectors that are malformed."""


class JudgeError(MindscopeError):
    """A judge that cannot be reached or cannot score."""
