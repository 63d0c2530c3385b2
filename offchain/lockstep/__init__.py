"""Lockstep: training one can pay a stranger for and not have to trust."""
