"""Celery: how a message reaches this process."""
