"""The thread that writes answers, and what is read while they are written."""
