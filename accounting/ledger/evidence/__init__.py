"""What outsiders hold against a ledger: its export, its prices replayed, heads kept elsewhere, two copies compared.

export       the whole chain as JSON lines, checked without a database
replay       every price, computed again from events alone
checkpoint   signed heads for a second place, which expose a ledger that was cut, restored or forked
compare      two slices of one ledger: the same, one older than the other, or a fork
"""
