"""The store device: cameras become anonymous events on MQTT."""

__version__ = "0.1.0"
