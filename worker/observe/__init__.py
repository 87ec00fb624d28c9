"""What happened, for those who watch: events as values, and the log."""
