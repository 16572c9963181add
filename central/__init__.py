"""The server: events and orders become series, and what is off becomes an incident."""

__version__ = "0.1.0"
