"""Any number of rows from a fitted model, in partitions that can be drawn apart, in bounded memory."""
