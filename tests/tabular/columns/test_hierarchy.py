"""Rare codes are merged with their siblings first."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.schema.domain import CategoryDomain
from dpsynth.tabular.columns.binning import MAX_CODES, bin_cells
from dpsynth.tabular.columns.cells import Cells
from dpsynth.tabular.columns.hierarchy import merge_rare_codes, prefix_texts
from dpsynth.tabular.columns.oneway import OneWay

NONE = np.zeros(0, dtype=np.int64)


def test_rare_siblings_share_a_code_and_strangers_another():
    domain = CategoryDomain(
        values=("250.1", "250.2", "401.9", "E1", "V1"), other=True, groups=("250",), hierarchy=(1, 3)
    )
    counts = np.array([30.0, 25, 900, 3, 2, 20, 5, 0])
    oneway = OneWay(cells=Cells.of(domain, NONE), counts=counts, variance=np.full(8, 20.0**2))
    codes = bin_cells(oneway, codes=24).code_of
    assert codes[0] == codes[1] == codes[5]  # 250.1, 250.2 and 250*
    assert codes[3] == codes[4] == codes[6] != codes[2] != codes[0]  # E1, V1 and other


def test_a_closed_list_with_a_hierarchy_is_merged_in_the_same_way():
    domain = CategoryDomain(values=tuple(f"{letter}{i}" for letter in "ab" for i in range(20)), hierarchy=(1,))
    oneway = OneWay(cells=Cells.of(domain, NONE), counts=np.append(np.full(40, 15.0), 0), variance=np.full(41, 100.0))
    codes = bin_cells(oneway, codes=24).code_of
    assert len(set(codes)) == 2 and len(set(codes[:20])) == 1


@given(
    st.lists(st.tuples(st.text("123", min_size=0, max_size=3), st.floats(-50, 900)), min_size=1, max_size=300),
    st.sampled_from([(), (1,), (1, 2), (2, 3)]),
)
@settings(max_examples=60, deadline=None)
def test_codes_are_complete_within_their_limit_and_merge_only_within_a_prefix_or_what_is_left(cells, lengths):
    texts, noisy = tuple(text for text, _ in cells), np.array([count for _, count in cells])
    codes = merge_rare_codes(noisy, np.full(len(noisy), 100.0), texts, lengths, most=16)
    assert set(codes) == set(range(codes.max() + 1)) and codes.max() < 16
    for code in range(codes.max()):
        own = [texts[at] for at in np.flatnonzero(codes == code)]
        shared = [length for length in lengths if len({text[:length] for text in own}) == 1 and len(own[0]) >= length]
        assert len(own) == 1 or shared


def test_other_has_no_prefix():
    domain = CategoryDomain(values=("other",), other=True, groups=("o",), hierarchy=(1,))
    assert prefix_texts(domain) == ("other", "o", "")
    assert MAX_CODES > 2
