"""`python -m worker.sandbox.expire [UCC ...]`: end sessions at a sandbox that runs."""

import argparse
import sys

import httpx

from worker.sandbox.control import SandboxControl, SandboxError


def main() -> int:
    """End them; returns 0, or 1 when the sandbox refuses or cannot be reached."""
    parser = argparse.ArgumentParser(
        prog="python -m worker.sandbox.expire",
        description="End every session of the accounts named, or of all accounts, at a sandbox that runs.",
    )
    parser.add_argument("ucc", nargs="*", metavar="UCC", help="an account of the sandbox; none: all accounts")
    parser.add_argument("--url", default="http://127.0.0.1:8765", help="the sandbox's root (default: %(default)s)")
    options = parser.parse_args()
    try:
        with SandboxControl(options.url) as control:
            ended = sum(map(control.expire_session, options.ucc)) if options.ucc else control.expire_sessions()
    except (SandboxError, httpx.HTTPError) as error:
        sys.stderr.write(f"sandbox at {options.url}: {error}\n")
        return 1
    sys.stdout.write(f"{ended} sessions ended\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
