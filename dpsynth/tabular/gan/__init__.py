"""Adversarial networks of rows: how a row is encoded, who judges it privately, how rows are drawn afterwards."""
