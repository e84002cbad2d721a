"""From a name or a folder to a model on its device: checks, adapters, fingerprints."""
