"""What steers a model: class labels now, text later."""
