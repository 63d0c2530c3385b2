"""The demo: the whole story on a local chain, with real contracts, real training and real lies."""
