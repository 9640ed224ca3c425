"""The only writers of human intent. Each: one transaction, the rule asked under a row lock, its audit event inside,
the bell on commit. `acting_user` None is the operator at the portal's own shell (permissions.py).

Every act that policy wants a second person for (MOVES_FOUR_EYES) is put on the books as an Approval, and done once
somebody else approves it.
"""

from migrations_app.actions.books import note_edit, owner_team, put_on_the_books
from migrations_app.actions.commenting import comment
from migrations_app.actions.deciding import approve, look_again, reject, withdraw
from migrations_app.actions.keeping import keep
from migrations_app.actions.requesting import request_move, reverse
from migrations_app.actions.steering import abort, retry, teardown
from migrations_app.actions.subscribing import rotate_key, send_again, show_key

__all__ = [
    "abort",
    "approve",
    "comment",
    "keep",
    "look_again",
    "note_edit",
    "owner_team",
    "put_on_the_books",
    "reject",
    "request_move",
    "retry",
    "reverse",
    "rotate_key",
    "send_again",
    "show_key",
    "teardown",
    "withdraw",
]
