"""Shared code of the action library: see core.py for what an action is."""
