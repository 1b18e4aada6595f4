"""The jobs of a sweep: where they run, what they leave to read, and how they are stopped and go on."""
