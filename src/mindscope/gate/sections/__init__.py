"""What a gate measures, a file for each kind: every section takes the bench and hands back its checks."""
