"""Webhooks that vendors send us: verified over the raw bytes, kept in the inbox before the answer, applied by a drain."""
