"""Torch implementations of the op set, equal to the reference bit for bit on any device.

Plain functions on tensors: `elementwise`, `contraction`, `rows`, `movement`, `generators`. Which
implementation runs an op is chosen (and self-tested) by ``lockstep.engine.routes``.

Carriers: f32 ``float32``, i32 ``int32``, m16 and e16 ``int16``, u8 ``uint8``, u16 ``uint16``.
Between nodes an f32 NaN may have any payload; every function here that reads bits (bit casts,
orders) makes it canonical first, and so does everything that leaves the engine. No function
flushes subnormals, provided the thread does not (``denormals_are_on``).
"""
