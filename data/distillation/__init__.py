"""Distillation: a teacher behind an endpoint plays requests to their end, and what holds up becomes rows."""
