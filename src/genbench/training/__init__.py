"""Training of any `GenerativeModel`: one Lightning module, one clock (images seen)."""
