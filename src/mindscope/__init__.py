"""A microscope for language models: read, change, predict and audit what a model uses."""
