"""Proofs with z3, for the integers of a deployed network. Imported only where a proof is asked for."""
