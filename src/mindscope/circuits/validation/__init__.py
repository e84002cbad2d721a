"""Is a graph right? Predicted against actual changes."""
