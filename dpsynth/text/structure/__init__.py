"""Forms that texts must have, and the automata that hold decoding to them."""
