"""A long run's record: nothing is run twice, and a line that was cut short is run again."""

from __future__ import annotations

import records


def test_a_stopped_run_goes_on_where_it_was(tmp_path):
    record, ran = tmp_path / "r.jsonl", []

    def made(seed):
        ran.append(seed)
        return {"square": seed * seed}

    assert [line["square"] for line in records.lines(record, range(3), made)] == [0, 1, 4]
    whole = record.read_text()
    record.write_text(whole[:-4])  # stopped in the middle of the third line
    assert list(records.read(record)) == [0, 1]
    assert [line["square"] for line in records.lines(record, range(4), made)] == [0, 1, 4, 9]
    assert ran == [0, 1, 2, 2, 3]
    assert [line["square"] for line in records.read(record).values()] == [0, 1, 4, 9]


def test_a_run_that_ends_early_keeps_what_is_done(tmp_path):
    found = records.lines(tmp_path / "r.jsonl", range(9), lambda seed: {"odd": seed % 2})
    assert next(line for line in found if line["odd"])["seed"] == 1
    found.close()
    assert list(records.read(tmp_path / "r.jsonl")) == [0, 1]
