"""The peers, each a process in an environment of its own (`.venv-bench`): nothing here imports erpflow."""
