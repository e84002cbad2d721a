"""The program that writes the organism's corpus: knowledge, behaviour, how both are phrased, and mistakes."""
