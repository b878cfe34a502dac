"""A joint model as a table of records that is moved until its marginals fit noisy ones: `gibbs` and `aim`.

residuals, kernels       targets and how far the records are from them; the compiled moves
record_table, proposals  sweeps of moves; pairs of columns that move together
chains, lanes            tables side by side, averaged; work in a fixed number of threads
record_fit, shrinkage    what a fit knows between measurements, and how firmly each table is believed
record_model, finishing  the fitted model; rows in blocks, moved towards the expected tables
public_prior             a public table to start from
"""
