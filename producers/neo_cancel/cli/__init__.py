"""The `neo-cancel` command. It needs the extra `cli`; nothing else in neo_cancel imports typer or rich."""

from neo_cancel.cli.entry import main

__all__ = ["main"]
