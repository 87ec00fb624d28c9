"""Everything that knows the broker's wire: paths, headers, replies, sessions, order-book rows."""
