* A 2T1C synapse: a write transistor, a storage capacitor, a read transistor.
*
* Transistors are those of Sky130, lengths on X lines in micrometres as in its library. Unlike the package's
* read_nfet cell, whose write switch is ideal, this one has a real write transistor: it passes only levels
* a threshold below the word line, its gate pulls charge from the capacitor when the word line falls, and
* the bit line shares its own charge with the cell.

.subckt synapse_2t1c wwl wbl row column params: cstore=0.5p fingers=1

* drain gate source bulk
Xwrite wbl wwl store 0 sky130_fd_pr__nfet_01v8 w=0.42 l=0.15
Cstore store 0 {cstore}
Xread row store column column sky130_fd_pr__nfet_01v8 w=0.42 l=0.15 m={fingers}

.ends synapse_2t1c
