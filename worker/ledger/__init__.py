"""The worker's side of the ledger in Redis: lease, claims, writes, recovery, rate."""
