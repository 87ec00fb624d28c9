"""Processes: command lines, children, signals."""
