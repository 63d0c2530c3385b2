"""The arithmetic: the reference, written as the specification, and the torch routes equal to it.

Elementwise work is IEEE-754 binary32; every sum is an exact integer, rounded once. ``docs/NUMERICS.md``.
"""
