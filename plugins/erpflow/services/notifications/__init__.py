"""Tells people what needs them: one message per cause, a reminder while it lasts, and one when it is over.

`causes` turns how the syncs are doing into causes, `messages` a cause into words, `tell` brings them to the channels
and remembers who was told. Pure but for `tell`, which knows the database and neither e-mail nor HTTP.
"""
