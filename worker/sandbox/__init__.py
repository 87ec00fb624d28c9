"""A stand-in for the Kotak Neo broker on a real socket, with faults to order."""
