"""The same circuit in other simulators: VACASK, ngspice and Xyce."""
