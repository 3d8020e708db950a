"""The YAML files that users write (mappings, templates, connectors): read with their lines, checked, explained.

Every message names file, line and key, what was found and what is allowed.
"""
