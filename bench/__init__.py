"""The pull job side by side with its peers: `python -m bench`. What is measured and how: docs/benchmarks.md."""
