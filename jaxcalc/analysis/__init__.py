"""What a function does: on an interval, in a box, and around a point."""
