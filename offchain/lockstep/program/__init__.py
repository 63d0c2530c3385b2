"""The tensor program: ops, graph, encoding, checker, reference, builder, capture."""
