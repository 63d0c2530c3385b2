"""Artifacts behind fsspec: content-addressed, size-checked, never executed."""
