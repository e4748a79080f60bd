"""The chain at work: ten minutes at a steady rate, and what replicas cost."""
