"""Programs in native floating point: fast, close to the exact run, and never the same bits."""
