"""Tells other programs what happened, by webhooks signed as https://www.standardwebhooks.com says.

`subscribing` takes down who is told, `signing` signs, `sending` makes one POST, `schedule` says when the next one is
due, `delivering` brings out what is due. What happened is written into the outbox by Postgres itself (migration s011).
"""
