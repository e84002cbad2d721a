"""What every floor needs and none owns: progress, digests, identities of models, lazy faces."""
