"""What erpflow does besides syncing: it tells people what needs them, and other programs what happened, and
forgets what nobody needs any more."""
