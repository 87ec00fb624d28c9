"""How a process is set up: its settings, the accounts file, its log."""
