"""Published figures beside one's own, as tables and pictures."""
