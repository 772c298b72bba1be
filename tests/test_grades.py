"""Grades cannot be lost: verdict, grade and ties say three things, and every verb says the same of a network."""

import pytest

from snndeploy.verdict import Pair, Proof, Verdict

EQUAL = Pair("a", "b", 10, 0)
TIED = Pair("a", "b", 10, 3, within_bound=3)
ONE_TIE = Pair("a", "b", 10, 1, within_bound=1)
APART = Pair("a", "b", 10, 4, within_bound=3)
REFUTED = Proof("p", "fc", "holds", "failed")

GRADES = {
    "equal": (Verdict((EQUAL,), model_only=()), "exact", "exact", 0),
    "ties": (Verdict((EQUAL, TIED, TIED), model_only=()), "exact", "exact but for 6 ties", 6),
    "one tie": (Verdict((ONE_TIE,), model_only=()), "exact", "exact but for 1 tie", 1),
    "program": (Verdict((EQUAL,), model_only=("n1",)), "exact", "model only", 0),
    "program and ties": (Verdict((TIED,), model_only=("n1",)), "exact", "model only, but for 3 ties", 3),
    "more than ties": (Verdict((APART, TIED), model_only=()), "different", "different", 6),
    "program and different": (Verdict((APART,), model_only=("n1",)), "different", "different", 3),
    "nothing": (Verdict((), model_only=()), "not_checked", "not_checked", 0),
    "nothing, program": (Verdict((), model_only=("n1",)), "not_checked", "not_checked", 0),
    "refuted": (Verdict((EQUAL,), proofs=(REFUTED,)), "different", "different", 0),
    "no network, by its pairs": (Verdict((Pair("a", "b", 9, 0, grade="model only"),)), "exact", "model only", 0),
    "an offer that was not taken": (Verdict((Pair("a", "b", 9, 0, grade="model only"),), model_only=()), "exact", "exact", 0),
}


@pytest.mark.parametrize("case", GRADES)
def test_verdict_says_whether_grade_says_what_and_ties_are_counted(case):
    verdict, equal, grade, ties = GRADES[case]
    assert (verdict.verdict, verdict.grade, verdict.ties) == (equal, grade, ties)


def test_a_record_can_worsen_a_verdict_and_never_makes_one():
    assert Verdict((), recorded=(EQUAL,)).grade == "not_checked"
    assert Verdict((EQUAL,), recorded=(APART,)).grade == "different"
    assert Verdict((EQUAL,), recorded=(TIED,), model_only=()).grade == "exact but for 3 ties"
    assert Verdict((EQUAL,), recorded=(EQUAL, TIED), model_only=("n",)).grade == "model only, but for 3 ties"
