"""What each command prints: a noun is a folder, `app.py` with its verbs; a word that stands alone is a file.

The work is in `jobs/`. `cli/registry.py` lists the first words and imports the one that is named.
"""
