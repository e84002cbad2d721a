"""Circuits: attribution graphs of what a model computes on one prompt, and interventions that check them."""

from mindscope.circuits.graph import AttributionGraph, Node, Target
from mindscope.circuits.influence import Scores, influence, scores
from mindscope.circuits.prune import Pruned, prune

__all__ = ["AttributionGraph", "Node", "Target", "influence", "scores", "Scores", "prune", "Pruned"]
