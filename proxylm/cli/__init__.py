"""The command line: `proxylm` and `proxylm-cli` are the same program."""

from proxylm.cli._main import main

__all__ = ["main"]
