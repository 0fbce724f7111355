"""What scripts/gpu-check and scripts/gpu-kit are made of. Python's standard library only, 3.9 or later."""
