"""The routes of the server, and what goes over the wire."""
