"""The local stack: everything a machine needs to cancel orders, started by one command."""
