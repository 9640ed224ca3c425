"""Tells who subscribed what happened: by webhook, by Slack-compatible webhook, by mail. What is to be told is in the
outbox (migrations_app/outbox.py); `manage.py deliver` sends it."""
