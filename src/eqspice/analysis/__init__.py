"""Pure functions of what a simulation gave."""
