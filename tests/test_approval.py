"""Rules for the calls of tools, who decides on them, and the desk where helpers' questions come together."""

import threading
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.approval import Answer, Approval, AskOwner, Decision, Desk, Question, Wanted
from assistant.errors import Interrupted
from assistant.policy import STRICTNESS, Policy
from memory.records import ToolCall
from tools.tool import EFFECTS, Effect, tool
from tools.toolbox import Prepared

YES, NO = Answer(True), Answer(False, reason="too long")


def named(name: str, *effects: Effect) -> Wanted:
    """A call of a tool of this name and these effects."""

    def function() -> None:
        """Do it."""

    function.__name__ = name
    return Wanted(ToolCall(f"id-{name}", name, "{}"), Prepared(tool(function, frozenset(effects)), {}, f"shown {name}"))


def rule(policy: Policy, name: str, *effects: Effect, outside: Sequence[str] = (), always: Sequence[str] = ()) -> str:
    return policy.verdict(named(name, *effects).prepared.tool, outside, always).rule


class Owner:
    """Somebody who gives these answers, in order."""

    def __init__(self, *answers: Answer) -> None:
        self.answers, self.heard = list(answers), list[Question]()

    def __call__(self, question: Question) -> Answer:
        self.heard.append(question)
        return self.answers.pop(0)


def approval(ask: AskOwner | None, *entries: str, outside: Sequence[str] = ()) -> Approval:
    return Approval(Policy(entries), lambda: outside, ask)


# ---------------------------------------------------------------------- rules


def test_by_default_what_changes_something_asks() -> None:
    policy = Policy()
    assert rule(policy, "clock") == rule(policy, "look", "reads") == rule(policy, "fetch", "network") == "allow"
    assert rule(policy, "write", "writes") == rule(policy, "run", "executes") == "ask"


@given(
    st.dictionaries(st.sampled_from(EFFECTS), st.sampled_from(STRICTNESS)),
    st.sets(st.sampled_from(EFFECTS), min_size=1),
)
def test_among_effects_the_strictest_rule_counts(rules: dict[Effect, str], effects: set[Effect]) -> None:
    policy = Policy([f"{name}={each}" for name, each in rules.items()])
    alone = [rule(policy, "one", effect) for effect in effects]
    assert rule(policy, "all", *effects) == max(alone, key=("allow", "ask", "deny").index)


@given(st.lists(st.sampled_from(STRICTNESS), min_size=1), st.sampled_from(STRICTNESS))
def test_a_tools_own_rule_wins_and_the_last_of_a_name_counts(own: list[str], effect: str) -> None:
    policy = Policy([*(f"send={each}" for each in own), f"network={effect}"])
    assert rule(policy, "send", "network") == own[-1]
    assert rule(policy, "other", "network") == effect


@given(
    st.lists(st.sampled_from([f"{name}={each}" for name in (*EFFECTS, "send") for each in STRICTNESS])),
    st.sets(st.sampled_from(EFFECTS), min_size=1),
    st.booleans(),
)
def test_after_foreign_words_nothing_with_an_effect_is_simply_allowed(
    entries: list[str], effects: set[Effect], always: bool
) -> None:
    policy = Policy(entries)
    found = policy.verdict(named("send", *effects).prepared.tool, ["web_fetch"], ["send"] if always else [])
    assert found.rule == ("deny" if rule(policy, "send", *effects) == "deny" else "ask")
    assert not found.lasting


def test_foreign_words_are_named_once_and_leave_tools_without_effects_alone() -> None:
    outside = ["web_fetch", "imported", "web_fetch"]
    found = Policy().verdict(named("fetch", "network").prepared.tool, outside)
    assert found.why == "this turn read text from outside: web_fetch, imported"
    assert rule(Policy(), "calculator", outside=outside) == "allow"


def test_the_shell_asks_each_time_or_is_denied() -> None:
    for entries in ([], ["shell=allow"], ["executes=allow", "shell=allow"]):
        found = Policy(entries).verdict(named("shell", *EFFECTS).prepared.tool, (), ["shell"])
        assert (found.rule, found.lasting) == ("ask", False)
    assert rule(Policy(["shell=deny"]), "shell", *EFFECTS) == "deny"
    assert rule(Policy(["executes=allow", "writes=allow"]), "own", "executes", "writes") == "allow"


def test_a_name_that_nothing_has_is_told_with_a_near_one() -> None:
    told = Policy(["write_fil=allow", "write=deny", "reads=ask", "x9=ask", "x9=deny"]).unknown(["write_file"])
    assert len(told) == 3
    assert "write_fil," in told[0] and told[0].endswith("Did you mean write_file?")
    assert told[1].endswith("Did you mean writes?")
    assert "x9" in told[2] and "mean" not in told[2]


# ---------------------------------------------------------------------- who decides


def test_the_owner_is_asked_for_what_must_be_asked_alone_and_their_reason_is_passed_on() -> None:
    owner = Owner(NO, YES)
    decided = approval(owner, "send=deny")(
        [named("look", "reads"), named("write", "writes"), named("send", "network"), named("run", "executes")]
    )
    assert [one.allowed for one in decided] == [True, False, False, True]
    assert decided[1].told == "Not run: the user said no to this call: too long"
    assert [one.how for one in decided] == [
        "allowed: reads=allow",
        "denied by its owner: too long",
        "denied: send=deny",
        "approved",
    ]
    assert owner.heard[0] == Question("write", ("writes",), "shown write", "writes=ask", lasting=True)


def test_always_holds_for_that_tool_and_not_after_foreign_words() -> None:
    outside: list[str] = []
    owner = Owner(Answer(True, always=True), YES, YES)
    decide = Approval(Policy(), lambda: outside, owner)
    assert all(one.allowed for one in decide([named("write", "writes"), named("write", "writes")]))
    assert len(owner.heard) == 1, "the second of the step had its yes already"
    decide([named("other", "writes"), named("write", "writes")])
    assert [one.name for one in owner.heard] == ["write", "other"]
    outside.append("web_fetch")
    decide([named("write", "writes")])
    assert owner.heard[-1].why.endswith("web_fetch")


def test_always_is_not_taken_where_it_was_not_offered() -> None:
    owner = Owner(Answer(True, always=True), NO)
    decide = approval(owner)
    assert decide([named("shell", "executes")])[0].allowed
    assert not decide([named("shell", "executes")])[0].allowed


def test_calls_of_one_step_do_not_taint_each_other() -> None:
    outside: list[str] = []
    decide = Approval(Policy(), lambda: outside, None)
    assert all(one.allowed for one in decide([named("fetch", "network"), named("look", "reads")]))
    outside.append("fetch")
    assert not decide([named("look", "reads")])[0].allowed


# ---------------------------------------------------------------------- helpers


def run(*works: Callable[[], object]) -> list[threading.Thread]:
    threads = [threading.Thread(target=work, daemon=True) for work in works]
    for thread in threads:
        thread.start()
    return threads


def test_a_helper_where_nobody_can_be_asked_is_refused_and_not_paused() -> None:
    decide = approval(None)
    decide([])
    refused = decide.helper(list)([named("write", "writes"), named("look", "reads")])
    assert [one.allowed for one in refused] == [False, True]
    assert "cannot be asked" in refused[0].told


def test_what_its_parent_had_read_counts_for_a_helper_and_what_it_reads_itself() -> None:
    outside, own = ["web_fetch"], list[str]()
    parent = Approval(Policy(), lambda: outside, Owner(NO, NO, NO))
    parent([])
    outside.clear()
    helper = parent.helper(lambda: own)
    assert not helper([named("look", "reads")])[0].allowed
    parent([])
    later = parent.helper(lambda: own)
    assert later([named("look", "reads")])[0].allowed
    own.append("read_file")
    assert not later([named("look", "reads")])[0].allowed


def test_questions_of_several_threads_are_asked_in_the_one_that_made_the_desk() -> None:
    here = threading.get_ident()

    def owner(question: Question) -> Answer:
        assert threading.get_ident() == here
        return Answer(question.name != "t3", reason=question.name)

    desk = Desk(owner)
    parent = Approval(Policy(), list, desk)
    found: dict[str, Sequence[Decision]] = {}

    def work(name: str) -> None:
        found[name] = parent.helper(list)([named(name, "writes")])

    threads = run(*(lambda name=f"t{number}": work(name) for number in range(8)))  # type: ignore[misc]
    while any(thread.is_alive() for thread in threads):
        desk.serve()
    assert {name: decided[0].allowed for name, decided in found.items()} == {
        f"t{number}": number != 3 for number in range(8)
    }


def test_who_waits_at_a_desk_that_closes_is_stopped_and_so_is_who_comes_later() -> None:
    desk = Desk(Owner(YES))
    stopped = threading.Semaphore(0)

    def work() -> None:
        with pytest.raises(Interrupted):
            desk(Question("write", (), "", "", lasting=False))
        stopped.release()

    waiting = run(work, work)
    while desk._waiting.qsize() < 2:
        pass
    desk.close()
    for thread in [*waiting, *run(work)]:
        thread.join(5)
    assert all(stopped.acquire(timeout=1) for _ in range(3))


def test_a_ctrl_c_at_a_helpers_question_stops_the_helper_and_the_turn() -> None:
    def owner(_question: Question) -> Answer:
        raise KeyboardInterrupt

    desk = Desk(owner)
    stopped = threading.Event()

    def work() -> None:
        with pytest.raises(Interrupted):
            desk(Question("write", (), "", "", lasting=False))
        stopped.set()

    (thread,) = run(work)
    while desk._waiting.empty():
        pass
    with pytest.raises(KeyboardInterrupt):
        desk.serve()
    thread.join(5)
    assert stopped.is_set()
