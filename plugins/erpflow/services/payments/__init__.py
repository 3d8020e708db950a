"""What payment providers are asked to do: each thing once, however often it is asked for."""
