"""What the Python tests share: a running gateway."""
