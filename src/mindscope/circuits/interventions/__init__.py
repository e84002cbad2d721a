"""Interventions on features, and what they did."""
