"""Circuits: attribution graphs of what a model computes on one prompt, and interventions that check them."""

from mindscope.circuits.graph import AttributionGraph, Node, Target

__all__ = ["AttributionGraph", "Node", "Target"]
