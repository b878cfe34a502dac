"""DP-SGD: one sampler, one noise, one event, for tables and text, from 20,000 parameters to networks on a GPU."""
