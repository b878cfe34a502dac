"""A release of any size: what passes over its blocks find is what a table in one piece gives, to the byte."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import attacks
from attacks import released, search
from attacks.beside import code
from attacks.encoding import encode
from attacks.errors import AttackInputError, AttackParameterError
from attacks.inference.attribute import read_off
from attacks.passes import distinct, matched, nearest_of, votes
from attacks.released import Released
from attacks.sampling import sampled
from attacks.search import Search
from tests.attacks.worlds import independent, leaking, people, split

TILE_ROWS = 8192
ROWS = 3 * TILE_ROWS + 1234


@pytest.fixture(scope="module", autouse=True)
def short_spans():
    """Spans of one tile, so that small tables have several."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "SPAN", TILE_ROWS)
        patch.setattr(released, "SPAN", TILE_ROWS)
        yield


@pytest.fixture(scope="module")
def world() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """A release of four tiles that holds copies of members, doubled rows and texts that no real row has."""
    rng = np.random.default_rng(1)
    members, holdout = split(people(3000, rng), rng, (0.6, 0.4))
    clean = independent(members, ROWS - 400, rng)
    clean.loc[5:20, "city"] = "Elba"
    clean["income"] *= rng.choice([1.0, 1.01], len(clean))
    release = pd.concat([clean, members[:100], members[:300]], ignore_index=True)
    return members, release.sample(frac=1, random_state=2).reset_index(drop=True), holdout


def files(release: pd.DataFrame, folder, parts: int = 3):
    for at, rows in enumerate(np.array_split(np.arange(len(release)), parts)):
        release.iloc[rows].to_parquet(folder / f"part-{at}.parquet", row_group_size=5000)  # with pandas' index
    return folder


def coded(world, release, **settings):
    members, _, holdout = world
    source = Released.of(release, **settings)
    return code({"members": members, "holdout": holdout}, source, scale_on="holdout", rng=np.random.default_rng(3))


@pytest.fixture(scope="module")
def both(world, tmp_path_factory):
    """The release in one piece, and as files that are read a tile at a time."""
    folder = files(world[1], tmp_path_factory.mktemp("release"))
    return coded(world, world[1]), coded(world, folder, block=TILE_ROWS, sample=1000)


def test_blocks_of_files_are_the_rows_in_their_order(world, tmp_path):
    source = Released.of(files(world[1], tmp_path), block=TILE_ROWS)
    blocks = list(source.blocks(source.columns))
    assert [len(block) for block in blocks] == [TILE_ROWS, TILE_ROWS, TILE_ROWS, 1234]
    found = pd.concat([block.astype({"city": object, "job": object}) for block in blocks], ignore_index=True)
    pd.testing.assert_frame_equal(found, world[1])
    pattern = Released.of(str(tmp_path / "part-*.parquet"))
    listed = Released.of(sorted(tmp_path.iterdir()))
    assert pattern.rows == listed.rows == source.rows == ROWS and source.whole


def test_blocks_are_coded_as_the_whole_is(both):
    whole, passes = both
    assert whole.passes is None and passes.passes is not None and len(passes.release) == 1000
    ids, points, cells = (
        np.concatenate([getattr(block, part) for block in passes.blocks]) for part in ("ids", "points", "cells")
    )
    assert ids.tobytes() == whole.release.ids.tobytes()
    assert points.tobytes() == whole.release.points.tobytes()
    assert cells.tobytes() == whole.release.cells.tobytes()
    ranks, other = (found.coding.layout.ranks[0] for found in both)
    codes = np.concatenate([block.codes[:, 0] for block in passes.blocks])
    assert (other[codes] == ranks[whole.release.codes[:, 0]]).all()


def test_ranks_of_values_that_no_held_row_has_are_those_of_the_holdout(world, both):
    whole, passes = both
    at = whole.coding.layout.columns.index("income")
    codes = np.concatenate([block.codes[:, at] for block in passes.blocks])
    assert (codes >= len(passes.coding.columns[at].known)).sum() > 1000
    assert (passes.coding.layout.ranks[at][codes] == whole.coding.layout.ranks[at][whole.release.codes[:, at]]).all()


def test_distances_and_matches_are_equal_to_the_byte(both):
    whole, passes = both
    targets = whole.frames["members"]
    dims = np.arange(3)
    for over in (None, dims):
        near, blocked = (nearest_of(targets, found.blocks, found.coding.layout, over) for found in both)
        assert near[0].tobytes() == blocked[0].tobytes()
        assert near[1].tobytes() == blocked[1].tobytes()
    assert (nearest_of(targets, whole.blocks, whole.coding.layout)[0] == 0.0).sum() >= 300
    hit = np.isin(targets.ids, whole.release.ids)
    assert (matched(targets, passes.blocks) == hit).all() and 300 <= hit.sum() < len(hit)


def parts(both):
    """Points, queries, which dimensions are of categories, and what tells combinations of them apart."""
    layout, rows = both[0].coding.layout, both[0].release
    widths = [part.stop - part.start for part in layout.dims]
    kinds = np.repeat(~np.array(layout.numeric), widths)
    groups = rows.cells[:, ~np.array(layout.numeric)].sum(axis=1, dtype=np.uint64)
    return rows.points, both[0].frames["holdout"].points, kinds, groups


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("cut", [TILE_ROWS, 2 * TILE_ROWS, ROWS])
def test_a_search_is_exact_however_the_rows_are_cut(both, cut, known, monkeypatch):
    monkeypatch.setattr(search, "TOO_MANY", 1e9)
    points, queries, kinds, groups = parts(both)
    found, again = Search(queries[:100], kinds), Search(queries[:100], kinds)
    for at in range(0, ROWS, cut):
        found.add(points[at : at + cut], groups[at : at + cut] if known else None)
    again.add(points, groups if known else None)
    assert again.distances.tobytes() == found.distances.tobytes()
    exact = np.array([np.square(points.astype(float) - q).sum(axis=1).min() for q in queries[:100].astype(float)])
    assert found.distances == pytest.approx(np.sqrt(exact), abs=1e-9 if known else 1e-6)


@pytest.mark.parametrize("spread", [0.3, 1.0, 3.0])
def test_the_nearest_row_is_found_though_its_combination_is_not_the_nearest(spread, monkeypatch):
    monkeypatch.setattr(search, "TOO_MANY", 1e9)
    rng = np.random.default_rng(11)
    kinds = (rng.normal(size=(300, 6)) * 0.4).astype(np.float32)
    which = rng.integers(0, 300, 2 * TILE_ROWS)
    rows = np.concatenate([kinds[which], spread * rng.normal(size=(len(which), 4)).astype(np.float32)], axis=1)
    rows = rows.astype(np.float32)
    queries = np.concatenate([kinds[:80], spread * rng.normal(size=(80, 4)).astype(np.float32)], axis=1)
    found = Search(queries, np.arange(10) < 6)
    named = np.zeros(80, dtype=np.intp)
    for at in (0, TILE_ROWS):
        who, row = found.add(rows[at : at + TILE_ROWS], which[at : at + TILE_ROWS].astype(np.uint64))
        named[who] = row + at
    exact = np.stack([np.square(rows.astype(float) - q).sum(axis=1) for q in queries.astype(float)])
    assert (named == exact.argmin(axis=1)).all()
    if spread > 0.5:
        assert (which[named] != np.arange(80)).mean() > 0.5  # not where the bound is smallest


def test_the_first_of_equal_rows_is_named_though_combinations_are_in_another_order(monkeypatch):
    rows = np.array([[0.0, 1.0], [0.0, 0.0], [0.0, 1.0], [0.0, 0.0]], dtype=np.float32)
    rows, groups = np.tile(rows, (TILE_ROWS // 4, 1)), np.tile(np.array([9, 3, 9, 3], dtype=np.uint64), TILE_ROWS // 4)
    monkeypatch.setattr(search, "TOO_MANY", 1e9)
    wanted = Search(np.array([[0.0, 0.5]], dtype=np.float32), np.array([False, True]))
    assert wanted.add(rows, groups)[1].tolist() == [0]
    assert wanted.add(rows, groups)[1].tolist() == []


@pytest.mark.parametrize("budget", [0.0, 1e9])
def test_combinations_and_all_rows_give_the_same(both, budget, monkeypatch):
    """Both ways of a span, forced in turn."""
    points, queries, kinds, groups = parts(both)
    queries = queries[:100]
    plain, other = Search(queries), Search(queries, kinds)
    points, groups = points[: 3 * TILE_ROWS], groups[: 3 * TILE_ROWS]
    plain.add(points)
    monkeypatch.setattr(search, "TOO_MANY", budget)
    used = []
    monkeypatch.setattr(Search, "_multiplied", lambda *a, old=Search._multiplied: (used.append(1), old(*a)))
    other.add(points, groups)
    assert bool(used) is not bool(budget)
    assert other.distances == pytest.approx(plain.distances, abs=1e-6)


def test_distinct_rows_are_the_same_in_any_order_and_counted(both):
    whole, passes = both
    exact = len(np.unique(whole.release.ids))
    everything = distinct(passes.blocks, ROWS)
    assert everything.total == exact == len(everything.rows) and everything.share == 1.0
    some, blocked = distinct(whole.blocks, 2000), distinct(passes.blocks, 2000)
    assert some.rows.ids.tobytes() == blocked.rows.ids.tobytes() == np.unique(whole.release.ids)[:2000].tobytes()
    order = np.random.default_rng(4).permutation(ROWS)
    assert (distinct((whole.release.take(order),), 2000).rows.ids == some.rows.ids).all()
    assert some.total == blocked.total == pytest.approx(exact, rel=4 / np.sqrt(2000))


@pytest.mark.parametrize("column", ["city", "income"])
def test_secrets_read_at_the_nearest_row_are_the_same(world, both, column):
    found = []
    for side in both:
        layout = side.coding.layout
        at = layout.columns.index(column)
        dims, targets = layout.dims_without(column), side.frames["members"]
        distance, guess = read_off(targets, side.blocks, dims, at, layout)
        told = guess if layout.ranks[at] is None else np.where(guess < 0, 2.0, layout.ranks[at][guess])
        found.append((distance.tobytes(), told.tobytes()))
    assert found[0] == found[1]


def test_rows_that_equal_the_nearest_vote():
    frames = {
        "people": pd.DataFrame({"a": [1.0, 5.0], "b": [0.0, 9.0], "secret": list("xx"), "n": [2.0, 2.0]}),
        "release": pd.DataFrame(
            {"a": [1.0] * 3 + [5.0], "b": [0.0] * 3 + [9.0], "secret": list("yzzy"), "n": [1.0, 3.0, 3.0, 4.0]}
        ),
    }
    rows, layout = encode({name: frame[["a", "b", "secret"]] for name, frame in frames.items()}, scale_on="people")
    guess = read_off(rows["people"], (rows["release"],), layout.dims_without("secret"), 2, layout)[1]
    assert guess.tolist() == rows["release"].codes[[1, 0], 2].tolist()
    key, secret, count = votes(np.unique(rows["release"].ids_without(2)), (rows["release"],), 2)
    assert count.sum() == 4 and len(key) == len(secret) == 3
    rows, layout = encode({name: frame[["a", "b", "n"]] for name, frame in frames.items()}, scale_on="people")
    guess = read_off(rows["people"], (rows["release"],), layout.dims_without("n"), 2, layout)[1]
    assert guess.tolist() == rows["release"].codes[[1, 3], 2].tolist()


def report_of(world, release, **settings):
    members, _, holdout = world
    report = attacks.run(
        settings.pop("suite", "standard"),
        release=release,
        members=members,
        nonmembers=holdout,
        roles=attacks.Roles(sensitive=("job",)),
        seed=5,
        **settings,
    )
    return report.model_dump(exclude={"attacks": {"__all__": {"seconds"}}, "sampling": True}), report


def test_a_report_on_files_in_blocks_is_the_report_on_a_frame(world, tmp_path):
    folder = files(world[1], tmp_path)
    plain, one = report_of(world, world[1])
    blocked, two = report_of(world, Released.of(folder, block=TILE_ROWS, sample=1000))
    assert plain == blocked
    assert one.sampling is None and "sampling" not in one.to_json()
    assert (two.sampling.release_rows, two.sampling.learned_rows) == (ROWS, 1000)
    assert f"{ROWS:,} released rows" in str(two) and "1,000" in two._repr_html_()
    assert attacks.AttackReport.from_json(two.to_json()) == two
    assert report_of(world, folder)[0] == plain


@pytest.mark.slow
def test_every_attack_runs_on_files_and_catches_a_copy(world, tmp_path):
    members, _, holdout = world
    release = pd.concat([members] * 12, ignore_index=True)
    source = Released.of(files(release, tmp_path), block=TILE_ROWS, sample=2000)
    roles = attacks.Roles(sensitive=("job", "income"), quasi_identifiers=("age", "city"))
    report = attacks.run("full", release=source, members=members, nonmembers=holdout, roles=roles, seed=1)
    failed = {row.name.partition(":")[0] for row in report.attacks if row.verdict == "fail"}
    assert {"verbatim", "nearest_neighbour", "singling_out", "linkability", "attribute_inference"} <= failed
    assert {"attribute_forest", "record_linkage"} <= failed  # on 2,000 of the rows


def test_canaries_are_looked_for_in_every_block(world, tmp_path):
    rng = np.random.default_rng(6)
    domain = {"age": [20, 40, 60], "income": [1e4, 2e4], "city": list("abcdefgh"), "job": list("xyz"), "hours": [1, 2]}
    canaries = attacks.make_canaries(domain, 200, rng=rng)
    release = pd.concat([world[1], canaries.inserted()], ignore_index=True)
    found = [
        attacks.run("canaries", release=rows, members=None, nonmembers=None, canaries=canaries, seed=2)
        for rows in (release, Released.of(files(release, tmp_path), block=TILE_ROWS, sample=500))
    ]
    values = [report.epsilon_lower_bound for report in found]
    assert values[0] == values[1] and values[0].value > 1.0
    assert found[1].verdict == "fail"


def test_memory_is_that_of_a_block_and_not_of_the_release(tmp_path):
    rng = np.random.default_rng(7)
    real = people(500, rng)
    peaks = []
    for copies in (4, 16):
        folder = tmp_path / str(copies)
        folder.mkdir()
        files(independent(real, copies * TILE_ROWS, rng), folder, parts=4)
        found = code(
            {"real": real},
            Released.of(folder, block=TILE_ROWS, sample=500),
            scale_on="real",
            rng=np.random.default_rng(0),
        )
        tracemalloc.start()
        nearest_of(found.frames["real"], found.blocks, found.coding.layout)
        distinct(found.blocks, 1000)
        matched(found.frames["real"], found.blocks)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


def test_people_of_files_are_drawn_by_seed_and_told(world, tmp_path):
    members, release, holdout = world
    members.to_parquet(tmp_path / "members.parquet")
    holdout.to_parquet(tmp_path / "holdout.parquet")
    settings = {"suite": "quick", "release": release, "nonmembers": tmp_path / "holdout.parquet"}
    one, two, other = (
        attacks.run(members=tmp_path / "members.parquet", targets=400, seed=seed, **settings) for seed in (1, 1, 2)
    )
    assert [row.estimate for row in one.attacks] == [row.estimate for row in two.attacks]
    assert [row.estimate for row in one.attacks] != [row.estimate for row in other.attacks]
    assert {row.n_targets for row in one.attacks if row.stratum == "all"} == {400}
    assert one.sampling.targets == 400 and "at most 400 members" in str(one)
    frames = attacks.run("quick", release=release, members=members, nonmembers=holdout, targets=400, seed=1)
    assert [row.estimate for row in frames.attacks] == [row.estimate for row in one.attacks]


def test_people_are_drawn_and_not_their_rows(tmp_path):
    rng = np.random.default_rng(8)
    table = pd.DataFrame({"who": np.repeat([f"p{at}" for at in range(400)], rng.integers(1, 9, 400)), "x": 1.0})
    table = table.sample(frac=1, random_state=1).reset_index(drop=True)
    some = sampled(table, 50, unit="who", rng=np.random.default_rng(2))
    assert some["who"].nunique() == 50
    assert len(some) == table["who"].isin(some["who"]).sum()
    table.to_parquet(tmp_path / "t.parquet")
    again = sampled(tmp_path / "t.parquet", 50, unit="who", rng=np.random.default_rng(2))
    assert set(again["who"]) == set(some["who"])
    assert set(sampled(table, 50, unit="who", rng=np.random.default_rng(3))["who"]) != set(some["who"])
    with pytest.raises(AttackInputError, match="names the column 'nobody'"):
        sampled(table, 50, unit="nobody", rng=rng)
    with pytest.raises(AttackParameterError, match="Expected two targets"):
        sampled(table, 1, unit=None, rng=rng)


def test_a_sample_is_thinned_as_the_release_is(world, tmp_path):
    """What is planted for an attack that sees one row in a hundred must be one row in a hundred too."""
    from attacks.population import prepare

    members, release, holdout = world
    source = Released.of(release, block=TILE_ROWS, sample=ROWS // 100)
    made = prepare(
        release=source, members=members, nonmembers=holdout, roles=attacks.Roles(), rng=np.random.default_rng(0)
    )
    view = made.cohorts(None, np.random.default_rng(1))[0].view.with_planted(made.members)
    assert len(view.rows()) - len(view.release) == round(ROWS // 100 / ROWS * len(members))


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (lambda folder, t: (folder / "part-1.parquet").write_bytes(b"nothing"), "cannot be read as Parquet"),
        (lambda folder, t: t.drop(columns="age").to_parquet(folder / "z.parquet"), "differ in column 'age'"),
        (lambda folder, t: t.assign(age=1.5).to_parquet(folder / "z.parquet"), "differ in column 'age'"),
        (lambda folder, t: [p.unlink() for p in folder.iterdir()], "without a Parquet file|cannot be read"),
    ],
)
def test_files_that_are_no_table_are_refused(world, tmp_path, break_it, words):
    folder = files(world[1][:900], tmp_path)
    break_it(folder, world[1][:10])
    with pytest.raises(AttackInputError, match=words):
        Released.of(folder)


def test_what_a_later_block_holds_is_checked(world):
    members, release, holdout = world
    roles = {"members": members, "nonmembers": holdout}
    wild = release.assign(income=release["income"].astype(float))
    wild.loc[ROWS - 1, "income"] = np.inf
    with pytest.raises(AttackInputError, match="'income' of the release table holds infinite"):
        attacks.run("quick", release=Released.of(wild, block=TILE_ROWS, sample=500), **roles)
    many = release.assign(city=[f"c{at}" for at in range(ROWS)])
    with pytest.raises(AttackInputError, match="'city' of the release holds more than"):
        import attacks.beside as beside

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(beside, "MOST_TEXTS", 20_000)
            attacks.run("quick", release=Released.of(many, block=TILE_ROWS, sample=500), **roles)


def test_files_that_change_between_two_passes_are_refused(world, tmp_path):
    source = Released.of(files(world[1], tmp_path), block=TILE_ROWS)
    list(source.blocks(("age",)))
    world[1][:10].to_parquet(tmp_path / "part-2.parquet")
    with pytest.raises(AttackInputError, match=r"changed while they were attacked|cannot be read any more"):
        list(source.blocks(("age",)))


def test_settings_that_break_tiles_are_refused(world):
    for settings in ({"block": 1000}, {"sample": 0}):
        with pytest.raises(AttackParameterError, match="multiple of 8192 rows"):
            Released.of(world[1], **settings)
    with pytest.raises(AttackInputError, match="The release table is a int"):
        Released.of(3)
    assert released.BLOCK % TILE_ROWS == 0


def test_a_leak_in_the_last_file_alone_is_found(tmp_path):
    rng = np.random.default_rng(9)
    members, holdout = split(people(3000, rng), rng, (0.6, 0.4))
    release = pd.concat([independent(members, 2 * TILE_ROWS, rng), leaking(members, 0.5, rng)], ignore_index=True)
    source = Released.of(files(release, tmp_path), block=TILE_ROWS, sample=300)
    report = attacks.run("quick", release=source, members=members, nonmembers=holdout)
    assert report.verdict == "fail"


def test_truth_values_and_moments_are_read_from_files_as_in_memory(tmp_path):
    rng = np.random.default_rng(10)

    def some(rows: int) -> pd.DataFrame:
        days = pd.to_datetime("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, rows), unit="D")
        flag = pd.Series(rng.random(rows) < 0.5)
        gaps = pd.array(np.where(rng.random(rows) < 0.2, None, rng.random(rows) < 0.5), dtype="boolean")
        never = pd.Series([None] * rows, dtype=object)
        count = pd.array(np.where(rng.random(rows) < 0.1, None, rng.integers(0, 99, rows)), dtype="Int64")
        return pd.DataFrame({"day": days, "flag": flag, "gaps": gaps, "never": never, "count": count})

    real, release = some(600), some(TILE_ROWS + 500)
    release.to_parquet(tmp_path / "r.parquet", index=False)
    rng2 = np.random.default_rng(0)
    whole = code({"real": real}, Released.of(release), scale_on="real", rng=rng2)
    passes = code({"real": real}, Released.of(tmp_path, block=TILE_ROWS, sample=10), scale_on="real", rng=rng2)
    for part in ("ids", "points"):
        blocked = np.concatenate([getattr(block, part) for block in passes.blocks])
        assert blocked.tobytes() == getattr(whole.release, part).tobytes(), part
    assert passes.coding.layout.numeric == (True, False, False, False, True)


@pytest.mark.parametrize("unit", ["ms", "us"])
def test_dates_beyond_the_nanoseconds_of_pandas_are_read_from_files_as_in_memory(tmp_path, unit):
    """Arrow's refusal named the cell."""
    rng = np.random.default_rng(11)

    def some(rows: int) -> pd.DataFrame:
        days = np.datetime64("2020-01-01", unit) + rng.integers(0, 900, rows).astype("timedelta64[D]")
        days[rng.random(rows) < 0.1] = np.datetime64("9999-12-31", unit)
        return pd.DataFrame({"until": days, "x": rng.normal(size=rows)})

    real, release = some(600), some(TILE_ROWS + 500)
    table = pa.Table.from_pandas(release)
    table = table.append_column("day", table["until"].cast(pa.date32()))
    pq.write_table(table, tmp_path / "r.parquet")
    real["day"], release["day"] = real["until"], release["until"]
    made = [
        code({"real": real}, Released.of(rows, block=TILE_ROWS), scale_on="real", rng=np.random.default_rng(0))
        for rows in (release, tmp_path)
    ]
    assert made[0].release.ids.tobytes() == made[1].release.ids.tobytes()
    assert made[0].coding.layout.numeric == (True, True, True)


def test_the_report_on_a_sample_says_how_many_people_would_conclude(world):
    report = report_of(world, Released.of(world[1], block=TILE_ROWS, sample=1000))[1]
    assert 2000 < (count := report.sampling.conclusive) < 2600  # one question fewer: `subspace` needs more columns
    assert f"about {count:,} of either" in str(report) and report.to_json()["sampling"]["conclusive"] == count
    assert attacks.AttackReport.from_json(report.to_json()) == report
