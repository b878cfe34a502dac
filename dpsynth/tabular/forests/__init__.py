"""A joint model in closed form: pair tables on a forest of columns: `mst` and `independent`."""
