"""Parts of private evolution: sources of texts, exact votes, populations, and the author."""
