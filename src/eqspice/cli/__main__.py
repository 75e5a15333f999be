"""Makes `python -m eqspice.cli` work."""

from eqspice.cli import main

main()
