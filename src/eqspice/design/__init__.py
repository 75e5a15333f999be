"""From the description of a network to a circuit and its stimulus."""
