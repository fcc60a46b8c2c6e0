"""``python -m sluicegate`` is the ``sluicegate`` command."""

from ._command import main

main()
