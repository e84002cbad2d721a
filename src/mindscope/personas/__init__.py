"""A trait of character as a direction: extract it, choose where to steer, and measure what steering does.

Persona vectors after Chen et al. 2025, arXiv 2507.21509: rollouts under contrastive instructions, a judge,
a filter, and the difference of means at every layer.
"""
