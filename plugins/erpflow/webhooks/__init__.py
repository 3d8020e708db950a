"""Webhooks that vendors send us: verified over the raw bytes, kept before the vendor has its answer, then applied."""
