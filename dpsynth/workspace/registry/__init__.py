"""Data sets that a workspace knows: by name, by place, by what is public of them."""
