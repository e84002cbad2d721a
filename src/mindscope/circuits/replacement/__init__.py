"""The local replacement model: dictionaries or neurons stand for the MLPs, all linear on one prompt."""
