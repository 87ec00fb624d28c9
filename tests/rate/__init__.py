"""Never above the rate: real worker processes against a stand-in broker that counts what it receives."""
