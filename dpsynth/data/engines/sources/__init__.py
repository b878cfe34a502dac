"""Where rows are, as people type it: URLs, files, buckets, and what opens them."""
