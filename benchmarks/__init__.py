"""Every figure of performance, as a ratio against a peer in the same run."""
