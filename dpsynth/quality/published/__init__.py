"""Quality figures that may be published: cells fixed by the released rows, and what noisy counts in them show."""
