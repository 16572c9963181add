"""The toolbox of detectors: which file is which, and whether a device can run it."""
