"""Where a model's calls are executed, and whole conversations played: services with state, mock tools, faults."""
