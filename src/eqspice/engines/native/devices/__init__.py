"""Device kinds in compiled code: each file holds one kind, its currents and charges, once."""
