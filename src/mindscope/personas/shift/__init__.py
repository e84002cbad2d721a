"""How far tuning moved a model along a persona vector."""
