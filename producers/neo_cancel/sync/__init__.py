# Written by tests/sync_twin.py from neo_cancel/aio/__init__.py: change that file, then run `make format`.
"""The producer."""
