"""The task API: an executable service, and scenarios in which every result came from running the call."""
