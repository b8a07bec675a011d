"""Whether the marker bits of a sender tell where its pictures end."""

import pytest

from ssa_stream.sources.rtp_markers import MarkerRule


def answers(script: str) -> tuple[str, MarkerRule]:
    """What the rule says of packets: each digit is one of the picture of that number, `!` is its marker, `-` a gap."""
    rule, said = MarkerRule(agreeing=2), ""
    for at, sign in enumerate(script):
        if sign == "-":
            rule.gap()
        elif sign.isdigit():
            is_marked = script[at + 1 : at + 2] == "!"
            said += "x" if rule.take(int(sign), is_marked=is_marked) else "."
    return said, rule


@pytest.mark.parametrize(
    ("script", "expected", "is_trusted"),
    [
        ("00! 11! 22! 33! 44!", ".......x.x", True),
        ("00 11 22 33 44", "..........", False),
        ("0!0! 1!1! 2!2! 3!3! 44!", "..........", False),
        ("00! 11! 22! 33! 4!4 55!", ".......xx...", False),
        ("00! 11! 22 33! 44! 55!", "...........x", True),
        ("00! 11! 22! 33!- 44! 55!", ".......x...x", True),
        ("00! 11! 22! 3-3! 44! 5-", ".........x.", True),
        ("0! 1! 2! 3! 4!", "...xx", True),
    ],
    ids=["marked", "never marked", "all marked", "refuted", "begins again", "gap between", "gap within", "one packet"],
)
def test_marker_counts_when_pictures_in_a_row_had_it_at_their_end(script: str, expected: str, is_trusted: bool) -> None:
    """After two here; of a picture that is whole from its first packet on."""
    said, rule = answers(script)
    assert (said, rule.is_trusted) == (expected, is_trusted)


def test_marker_where_no_picture_can_end_is_never_forgotten() -> None:
    """However well the sender behaves from then on."""
    _, rule = answers("00! 11! 22! 33!")
    assert rule.is_trusted
    rule.refute()
    assert [rule.take(number, is_marked=True) for number in range(4, 12)] == 8 * [False]
