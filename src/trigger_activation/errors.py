"""The one exception that users see."""


class UserError(Exception):
    """Something the user can mend.

    The message is one sentence that says what is wrong, where, and how to mend it.
    """
