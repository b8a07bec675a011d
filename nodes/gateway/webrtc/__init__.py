"""WebRTC connections: what peers send, get, and may not exceed."""
