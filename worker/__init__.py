"""The service: takes cancels from Redis, delivers them to Kotak Neo and writes down what became of every order."""
