"""The physics of the devices: responses, named devices, random draws, pairs, programming."""
