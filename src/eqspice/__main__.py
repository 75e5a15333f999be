"""Makes `python -m eqspice` work."""

from eqspice.cli import main

main()
