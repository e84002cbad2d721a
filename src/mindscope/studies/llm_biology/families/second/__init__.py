"""The families of the second organism's world, in which the mechanisms must exist."""
