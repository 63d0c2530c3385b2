"""Disputes without a chain: what a claim says, what a party can show, which move comes next."""
