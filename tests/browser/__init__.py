"""The console as people use it: Chromium, a real portal (gunicorn), real workers and the sandbox's regions."""
