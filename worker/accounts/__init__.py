"""What this process knows of the client accounts: sessions, rates, policies."""
