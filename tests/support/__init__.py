"""What several tests share: fakes, checkers, components of the system."""
