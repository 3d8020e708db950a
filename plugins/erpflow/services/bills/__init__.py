"""Bills that come as documents: what is printed on them, as values."""
