"""Prompts that a client is asked to send."""

import pytest

from ssa_stream.client import PromptClient
from ssa_stream.errors import ConfigError


@pytest.mark.parametrize("prompts", [["red\x1b[2J"], {"cup": "red\u202e"}])
def test_prompts_with_hidden_characters_are_refused_before_they_are_sent(prompts: dict[str, str] | list[str]) -> None:
    """Nobody need be there to answer; the error shows what is wrong."""
    with PromptClient("tcp://127.0.0.1:1", "cam0") as client:
        with pytest.raises(ConfigError, match=r"prompt 'red\\[xu].*' has characters that a terminal obeys") as caught:
            client.set(prompts)
        assert str(caught.value).isprintable()
        with pytest.raises(ConfigError, match="has characters"):
            client.add("red\x9b")
