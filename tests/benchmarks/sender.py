"""A producer in a process of its own: `python -m tests.benchmarks.sender MODULE` obeys lines of JSON on its input."""

import importlib
import json
import sys
import time
from typing import Any

from tests.benchmarks.batch import Batch
from tests.benchmarks.rivals.sending import Sending


def obey(sending: Sending, said: dict[str, Any]) -> dict[str, Any]:
    """Do what one line says."""
    batch = Batch(**said["batch"])
    orders = sending.make(batch)
    if said["verb"] == "singles":
        return {"asked": dict(zip(batch.numbers, sending.singles(orders, said["pause_seconds"]), strict=True))}
    began = time.monotonic()
    sending.bulk(orders)
    return {"began": began, "ended": time.monotonic()}


def main() -> None:
    """Announce and obey until the input ends."""
    sending: Sending = importlib.import_module(sys.argv[1]).sending()
    answers, sys.stdout = sys.stdout, sys.stderr
    print("{}", file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(obey(sending, json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main()
