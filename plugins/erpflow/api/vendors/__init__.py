"""What existing systems call at paths of their own: their words, their shapes of answers."""
