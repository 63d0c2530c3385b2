"""Merkle trees and tensor roots; twins of ``contracts/commitments``."""
