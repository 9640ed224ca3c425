import gc
import os
from importlib import import_module

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.template.loader import get_template

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
# Nobody waits longer for a page or a call. Workers, which copy and compare for hours, have no such limit.
settings.DATABASES["default"]["OPTIONS"]["options"] += f" -c statement_timeout={settings.WEB_STATEMENT_SECONDS}s"
application = get_wsgi_application()
# Nobody's page is the first one that needs a template, and one that cannot be read is told of at the start.
for template in (settings.BASE_DIR / "templates").rglob("*.html"):
    get_template(str(template.relative_to(settings.BASE_DIR / "templates")))
# What is loaded now stays as long as the process. The collector would look through all of it again and again, for a
# tenth of a second each time, in the middle of somebody's page.
import_module(settings.ROOT_URLCONF)
gc.collect()
gc.freeze()
# What a page makes goes when the page is done, nearly all of it without the collector.
gc.set_threshold(50_000, 20, 20)
