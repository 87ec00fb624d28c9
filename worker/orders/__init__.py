"""The decisions: one order from its cancel to its true final status. Knows no Celery, no Redis, no HTTP."""
