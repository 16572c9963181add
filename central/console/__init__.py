"""The page for retail operations."""

from central.console.page import mount

__all__ = ["mount"]
