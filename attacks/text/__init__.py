"""Attacks on synthetic text: copies, near-copies, membership, canaries, identifiers, benchmark items."""
