"""`python -m neo_cancel.cli`: the command without its script."""

from neo_cancel.cli import main

main()
