"""Models as files: JSON and raw arrays, no pickle; checked part by part and priced again on loading."""
