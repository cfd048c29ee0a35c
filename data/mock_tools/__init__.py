"""Mock tools made from the schemas of any tool list: values, a service that checks and answers calls, and wordings."""
