"""The producer for asyncio. tests/sync_twin.py writes the folder `sync` from this one."""
