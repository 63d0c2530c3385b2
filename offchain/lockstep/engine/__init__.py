"""Running programs: planned and fast, or node by node with everything kept."""
