"""Steering by a persona vector: arms, the sweep over layers and coefficients, the measured effect."""
