"""The noisy layer of device pairs and the multilayer perceptron built from it."""
