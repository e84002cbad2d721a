"""From a prompt to a graph: targets, selection of features, rows of the adjacency matrix backwards."""
