"""A demonstration: orders of every kind against a sandbox with faults, and every answer checked against the truth."""
