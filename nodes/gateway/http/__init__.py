"""The gateway over HTTP: the page, WHIP and WHEP, health, and who may use them."""
