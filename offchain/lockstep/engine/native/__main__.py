"""``python -m lockstep.engine.native``: build the native engine into the cache, and say what there is."""

from __future__ import annotations

import logging

from lockstep.engine.native.library import describe, load

logging.basicConfig(level=logging.INFO, format="%(message)s")
load()
print(f"The engine runs on: {describe()}")
