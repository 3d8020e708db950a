"""A REST system that a YAML file declares: no Python for a custom ERP (docs/how-to-declare-a-connector.md).

`load` reads and checks a declaration (`model`), `connector` makes a class of it; `fill` puts values into its requests,
`signing` signs them, `answers` says what answers mean, `reading` and `writing` do the work.
"""
