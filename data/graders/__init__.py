"""OpenAI's graders, for those who leave its evals: pure functions of an item and a sample."""
