"""How the processes are set up: settings, Celery's options, logging, Flower."""
