"""The card of the second organism: each mechanism measured against the bar that was set for it."""
