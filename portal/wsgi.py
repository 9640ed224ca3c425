import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
# Nobody waits longer for a page or a call. Workers, which copy and compare for hours, have no such limit.
settings.DATABASES["default"]["OPTIONS"]["options"] += f" -c statement_timeout={settings.WEB_STATEMENT_SECONDS}s"
application = get_wsgi_application()
