"""From a file to a model: our own checkpoint format and the published ones."""
