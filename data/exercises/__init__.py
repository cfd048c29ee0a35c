"""Exercises for any tool list: requests worded from the schemas, calls and results of mock tools, answers."""
