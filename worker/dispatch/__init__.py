"""What this process takes: from a message to orders in hand."""
