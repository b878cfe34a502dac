"""Columns one by one: what is counted of each, the codes that a joint model can afford, and the way back to values.

cells, oneway            a domain cut into cells; one noisy histogram a column
parts, part_queries      wide intervals counted once more: by the calendar (`calendar`), by how round (`roundness`)
binning, hierarchy       cells merged into codes
decoding, moments        codes back to cells, cells to values; `denoising` weighs fine counts against noise
"""
