"""The chaos driver: `python -m tests.chaos --seconds 60 --seed 1`."""
