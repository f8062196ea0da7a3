"""Contests of speed: who takes part, what is learned, who takes turns, and what came out."""
