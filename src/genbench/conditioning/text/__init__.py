"""Captions as conditions: encoders that turn words into the states of tokens, and how these steer a network."""
