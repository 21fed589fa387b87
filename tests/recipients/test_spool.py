from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from flexsms.recipients.spool import Known, Spool

DIGESTS = st.sampled_from([f"{number:032x}" for number in range(6)])


@given(st.lists(st.tuples(DIGESTS, st.sampled_from([*Known, 1, 2, 3]))))
def test_the_first_word_about_somebody_counts(said: list[tuple[str, int]]) -> None:
    expected: dict[str, int] = {}
    with Spool() as spool:
        for digest, known in said:
            assert spool.add(digest, known) == expected.get(digest)
            expected.setdefault(digest, known)


def test_texts_are_told_by_set_of_zones_and_row() -> None:
    with Spool() as spool:
        for row in (1, 2**39, 7):
            for group in (0, 3):
                spool.keep(group, row, f"{group}/{row}".encode())
        assert list(spool.lines(3)) == [b"3/1", b"3/7", f"3/{2**39}".encode()]
        assert list(spool.lines(1)) == []
