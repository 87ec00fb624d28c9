"""The orders, accounts and durations that the state machine of the ledger plays with."""

from hypothesis import strategies as st

from neo_cancel.record import Status

LANES = ("risk", "routine")
UCCS = ("AB123", "CD456")
NAMES = ("AB123:251015000123450", "AB123:251015000123451", "CD456:251015000123450")
WORKERS_AT = st.integers(0, 1)
A_LIFETIME = 3600.0
WATCHED = (Status.UNKNOWN, Status.REFUSED)
SHORT_LIFE, WORKERS_LIVE, LONG_LIFE = 30, 60, 600
"""Seconds: what lives for 30 at most can be let go at any moment, as if its time were over."""
ENDS = (Status.UNKNOWN, Status.UNKNOWN, Status.REFUSED, Status.NOT_FOUND, Status.EXPIRED, Status.CANCELLED)
