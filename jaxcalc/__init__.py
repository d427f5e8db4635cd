"""Differential calculus for machine learning, as pure JAX functions."""
