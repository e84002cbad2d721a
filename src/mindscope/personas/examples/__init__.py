"""Vectors from answers that people have: two files, a labelled one, preference pairs, turns of chats."""
