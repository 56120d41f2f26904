"""What is measured: ``python -m benchmarks`` and ``python -m benchmarks.device_sweep``."""
