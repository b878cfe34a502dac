"""From a registered data set to sealed rows: runs, and those that were interrupted."""
