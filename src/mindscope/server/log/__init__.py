"""What was asked, read and raised, kept in a database."""
