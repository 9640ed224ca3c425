"""The console's own pages, beside the lists and forms of Django's admin: they call a query or an action and render."""
