"""Cells of a learning circuit: parameters in, subcircuit out."""
