"""What is done to a model's own rows with tables that were released besides: shrink the tables, rake the rows."""
