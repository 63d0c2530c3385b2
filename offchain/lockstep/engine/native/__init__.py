"""The optional native engine: whole steps in C++, compiled on the machine that runs them."""
