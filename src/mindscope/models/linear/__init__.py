"""What is linear in a model once attention patterns and norms are held: for attribution."""
