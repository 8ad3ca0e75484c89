"""What may happen next in a history: how often, and with what. Must not know what it comes to.

Everything is drawn as plain numbers, so that what may be drawn never depends on what happened.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

STAGES = ("prod", "dev", "qa", "feat")
FUNCTIONS = "abc"
#: Those that the service has at the beginning.
BASE = "ab"
#: Old and new code; few enough to meet the same content again and again.
TEXTS = ("one", "two", "three", "four")

_stages = st.sampled_from(("prod", "prod", "dev", "dev", "qa", "feat"))
_functions = st.sampled_from(FUNCTIONS)
_some = st.integers(0, 11)
_many = st.integers(0, 99)
_yes_or_no = st.booleans()
#: What somebody hangs on a version while a teardown is under way, if anything.
_late = st.sampled_from((None, None, 0, 1, 2))
_mostly = st.sampled_from((True, True, True, True, False))
#: Per function: left out, some code, new code, or what $LATEST holds.
_parts = st.fixed_dictionaries({f: st.sampled_from(("out", "out", *TEXTS, "new", "new", "new", "as it is")) for f in FUNCTIONS})
_drift = st.sampled_from(({}, {}, {"on_drift": "overwrite"}, {"on_drift": "overwrite"}, {"on_drift": "overwrite"}))
#: So many states beyond the plan of an operation; -1 is wherever it is.
_beyond = st.sampled_from((-1, 0, 0, 0, 1, 1, 1, 2, 3))
#: Which request of a state a mishap is about; most states change something once or twice.
_nth = st.sampled_from((1, 1, 1, 2, 2, 3, 4, 6))
_any_nth = st.integers(1, 12)
#: A sweep's settings, instead of the stack's.
_limits = st.fixed_dictionaries(
    {"keep": st.sampled_from((0, 0, 0, 1)), "rollback_depth": st.sampled_from((0, 0, 1, 2))},
    optional={"grace_hours": st.sampled_from((0, 0, 0, 1))},
)
_keenest = st.just({"keep": 0, "rollback_depth": 0, "grace_hours": 0})
#: How far an operation gets before anything else happens: so many states, or to its end.
_far = st.sampled_from((0, 1, 2, 3, 4, 6, 99, 99, 99, 99))
#: That the stage is where its actor believes it is: not asked, right, or wrong.
_belief = st.sampled_from(("", "", "", "", "", "", "", "", "right", "right", "wrong"))

MISHAPS = ("no answer", "a lost answer", "throttled", "throttled", "busy", "touched", "touched", "table throttled", "denied")
BY_HAND = ("move an alias", "delete an alias", "touch an alias", "publish", "publish", "change $LATEST")

#: In one rule, since hypothesis leaves whole rules out of a history: the rare things happen among many others.
DEEDS: tuple[tuple[int, str, dict[str, st.SearchStrategy[Any]]], ...] = (
    (
        9,
        "deploy",
        {
            "far": _far,
            "stage": _stages,
            "wanted": _parts,
            "memory": st.sampled_from((128, 128, 256)),
            "how": _drift,
            "believed": _belief,
            "way": _some,
        },
    ),
    (7, "rollback", {"far": _far, "which": _many, "to": _some, "how": _drift, "believed": _belief}),
    (5, "reset", {"far": _far, "which": _many, "to": _some, "how": _drift, "believed": _belief}),
    (4, "clone", {"far": _far, "which": _many, "to": _some}),
    (4, "tear_down", {"far": _far, "which": _many, "confirmed": _yes_or_no, "believed": _belief, "late": _late}),
    (8, "sweep", {"far": _far, "really": _mostly, "given": st.one_of(_limits, _keenest)}),
    (2, "configure", {"far": _far, "which": _many, "protected": _yes_or_no, "believed": _belief}),
    (3, "look", {"far": _far, "what": _some, "stage": _stages}),
    (4, "step", {"which": _some}),
    (6, "run", {"which": _some}),
    (2, "step_delivered_twice", {"which": _some}),
    (5, "stop", {"which": _some, "far": _beyond, "back": _some}),
    (4, "notice", {"which": _some, "at_once": _yes_or_no}),
    (3, "late_worker", {"which": _some}),
    (5, "time_passes", {"seconds": st.sampled_from((5, 40, 3600, 2 * 86400))}),
    (8, "kill", {"which": _some, "far": _beyond, "at": _nth, "anywhere": _yes_or_no, "after": _yes_or_no}),
    (8, "fail", {"which": _some, "far": _beyond, "at": _nth, "what": st.sampled_from(MISHAPS), "function": _functions}),
    (
        6,
        "overtake",
        {
            "which": _some,
            "far": _beyond,
            "at": _any_nth,
            "by_hand": st.sampled_from(("", "", "move an alias", "delete an alias", "weigh an alias")),
            "alias": _some,
        },
    ),
    (5, "by_hand", {"what": st.sampled_from(BY_HAND), "which": _many, "function": _functions, "version": _some}),
    (4, "foreign_alias", {"which": _many, "version": _some, "weighted": _yes_or_no}),
    (2, "weigh", {"which": _many, "version": _some, "none": st.sampled_from((False, False, True))}),
    (8, "hang", {"what": _some, "which": _many, "on_alias": st.sampled_from((False, False, False, True))}),
    (2, "take_off", {"which": _many}),
)
deeds = st.sampled_from([deed for deed in DEEDS for _ in range(deed[0])]).flatmap(
    lambda deed: st.tuples(st.just(deed[1]), st.fixed_dictionaries(deed[2]))
)
