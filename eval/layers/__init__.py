"""Where an item is lost between what the model wrote and what an agent can do with it (`eval.waterfall`)."""
