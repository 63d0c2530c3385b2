"""The chain: a local node, contract clients, events, decoded errors, deployments."""
