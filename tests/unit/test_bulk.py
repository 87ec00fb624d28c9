"""Counts that add up, and names in pieces."""

import pickle

import pytest

from neo_cancel import BulkStatus, LedgerRefusedError, OpenBulk, OrderRecord, Status
from neo_cancel.bulk import slices
from neo_cancel.record import HARMLESS


def record(status: Status) -> OrderRecord:
    return OrderRecord(ucc="AB123", order_number="251015000123456", status=status, enqueued_at=0.0)


def test_counts_add_up_to_what_was_asked_for():
    records = [record(Status.CANCELLED), record(Status.CANCELLED), record(Status.UNKNOWN), record(Status.SENDING), None]
    status = BulkStatus.of(records)
    assert 5 == status.asked == sum(status.counts.values()) + status.missing
    assert (1, 2, False, False) == (status.pending, status.may_still_work, status.is_ended, status.is_complete)


@pytest.mark.parametrize("status", list(Status))
def test_a_bulk_is_complete_only_when_no_order_may_still_work(status):
    assert (status in HARMLESS) == BulkStatus.of([record(status)]).is_complete


def test_a_bulk_whose_records_are_gone_is_not_called_complete():
    assert not BulkStatus.of([None]).is_complete


def test_slices_cover_everything_once():
    assert [["a", "b"], ["c"]] == list(slices(["a", "b", "c"], 2))


def test_an_error_of_a_bulk_survives_a_trip_between_processes():
    error = pickle.loads(pickle.dumps(OpenBulk(5).cut_off(LedgerRefusedError("Redis is full"))))  # noqa: S301
    assert (LedgerRefusedError, 36, 0) == (type(error), len(error.batch), error.accepted)
    assert str(error).startswith("Redis is full; bulk ")
