* A network of plain 2T1C cells with a real write transistor: synapse, hidden neuron and optimiser.
*
* Transistors are those of Sky130; as in its library, lengths on X lines are in micrometres.

.model logic vswitch(ron=1 roff=1e14 von=0.5 voff=0.4)
.model silicon d(is=1e-14 n=1)

* Synapse. The write transistor passes levels up to a threshold below the word line. When the word line
* falls, charge of its gate goes into the store: 0.04 to 0.07 mV at 4 pF (0.14 to 0.27 mV at 1 pF), always
* with the same sign, so that it adds up. The read transistor is a conductance between row and column.
.subckt synapse wwl wbl row column c=4p fingers=1
Xwrite wbl wwl store 0 sky130_fd_pr__nfet_01v8 w=0.42 l=0.15
Cstore store 0 {c}
Xread row store column column sky130_fd_pr__nfet_01v8_lvt w=0.42 l=0.15 m={fingers}
.ends

* Hidden neuron: amplifies around the level that the bias row gives the columns, clamps both rails to
* about +-limit with silicon diodes, and sends the rails' currents back. All weights are positive, hence
* the clamp on both sides: rising and falling steps together can follow any curve.
.subckt neuron in outp outn gain=10 back=1/16 r=10 centre=27m limit=0.125 drop=0.6
Vcentre centre 0 dc {centre}
Ep p 0 in centre {gain} rout=0.1
En n 0 in centre {-gain} rout=0.1
Gback in 0 value={back*(2*gain*V(in,centre)-V(p)+V(n))/0.1}
Vhigh high 0 dc {limit-drop}
Vlow low 0 dc {drop-limit}
Dph p high silicon
Dpl low p silicon
Dnh n high silicon
Dnl low n silicon
Rp p outp {r-0.1}
Rn n outn {r-0.1}
.ends

* Optimiser of a bit line: exact for a conductance set by the store, half the difference of the squared
* drops between row and column in the free and the nudged phase. A step is at most `most`, softly; and no
* store goes below `floor`, where the read transistor is off: below ground the write transistors of the
* whole bit line would leak. The bit line's wire shares its charge with the cell that a word line opens,
* so that `line` must be small against the store.
.subckt update wbl free early write column row gain=1 c=0.1p most=50m floor=0.35 line=1f
Cline wbl 0 {line}
Edrop drop 0 row column 1
Sfree drop before free 0 logic
Cbefore before 0 {c}
Bsum sum 0 V={V(wbl)+most*tanh(0.5*gain/most*(V(before)**2-V(drop)**2))-floor}
Btarget target 0 V={floor+0.5*(V(sum)+sqrt(V(sum)**2+25u))}
Searly target after early 0 logic
Cafter after 0 {c}
Ewrite written 0 after 0 1
Swrite written wbl write 0 logic
.ends
