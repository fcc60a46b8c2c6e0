"""The ``sluicegate`` command."""

from __future__ import annotations

import signal
import sys
from typing import NoReturn

from ._sluicegate import command


def main() -> NoReturn:
    """Runs the command with the arguments of this process, and exits with its code."""
    # Python's handler would only set a flag, and nothing of Python runs until the command has ended.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(command(["sluicegate", *sys.argv[1:]]))
