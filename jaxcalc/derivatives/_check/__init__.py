"""The parts of a derivative check: what it measures, and how it explains it."""
