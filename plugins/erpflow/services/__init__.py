"""What erpflow does besides syncing: it tells people what needs them, and forgets what nobody needs any more."""
