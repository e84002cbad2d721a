"""The workbench in the browser: its pages as they were built, and what only they ask of a server."""
