"""The window: whatever the history, the request fits, pairs are whole, and the newest user message is there."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory.errors import ContextTooSmall
from memory.records import ASSISTANT, RECALLED, SYSTEM, USER, Message, Role, ToolCall
from memory.tokens import REPLY_PRIMING, TABLES, Counter
from memory.window import LOW_WATER, STUB_TOKENS, Count, Window, cost, fit, smallest, turns_of

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
ORIGINS: Mapping[Role, str] = {"system": SYSTEM, "user": USER, "assistant": ASSISTANT, "tool": "tool:look"}


def cheap(message: Message) -> int:
    """A counter like a real one and without a table: a token for four characters, and framing."""
    calls = sum(3 + len(call.name + call.arguments + 2 * call.id) // 4 for call in message.tool_calls)
    return 4 + len(message.content) // 4 + calls


@dataclass
class Watched:
    """Counts, and refuses to count a message of the transcript: each of those was counted when it was said."""

    transcript: Sequence[Message]
    count: Count = cheap
    asked: list[Message] = field(default_factory=list)

    def __call__(self, message: Message) -> int:
        assert message not in self.transcript
        self.asked.append(message)
        return self.count(message)


def say(role: Role, content: str = "", answers: str | None = None, calls: Sequence[ToolCall] = ()) -> Message:
    """A message without an id, counted."""
    message = Message("", "s", role, content, NOON, ORIGINS[role], None, tuple(calls), answers)
    return message._replace(tokens=cheap(message))


def note(content: str) -> Message:
    """A late note: what was recalled for the user message after it."""
    return say("system", content)._replace(origin=RECALLED)


def asks(*ids: str, arguments: str = "{}", content: str = "") -> Message:
    return say("assistant", content, calls=[ToolCall(one, "look", arguments) for one in ids])


def numbered(messages: Sequence[Message]) -> list[Message]:
    return [message._replace(id=f"m{number}", seq=number + 1) for number, message in enumerate(messages)]


def chat(turns: int, size: int = 80) -> list[Message]:
    """Turns of a user message and a reply, each of `size` characters."""
    return numbered([say("user", "u" * size), say("assistant", "a" * size)] * turns)


PROMPT = say("system", "Be brief.")._replace(id="prompt")


def shown(transcript: Sequence[Message], room: int, first_kept: str | None = None) -> Window:
    """The window for `room` tokens beside the system message."""
    return fit(PROMPT, transcript, PROMPT.tokens + room, first_kept, Watched(transcript))


def ids(window: Window) -> list[str]:
    return [message.id for message in window.messages[1:]]


# Turns


def test_all_of_it_is_shown_while_it_fits() -> None:
    transcript = chat(3)
    window = shown(transcript, cost(transcript))
    assert window == Window((PROMPT, *transcript), "m0", PROMPT.tokens + cost(transcript))


def test_an_empty_transcript_shows_the_system_message() -> None:
    assert shown([], 0) == Window((PROMPT,), "", PROMPT.tokens)


def test_late_notes_belong_to_the_user_message_after_them() -> None:
    first = [note("early"), say("assistant", "Welcome."), say("user", "1"), say("assistant", "one")]
    second = [note("b"), note("c"), say("user", "2"), say("assistant", "two"), note("d")]
    turns = turns_of([*first, *second])
    assert turns == [tuple(first), tuple(second)]


def test_a_cut_drops_whole_turns_down_to_low_water() -> None:
    transcript = chat(10)
    turn = cost(transcript[:2])
    window = shown(transcript, 10 * turn - 1)
    assert ids(window) == [message.id for message in transcript[10:]]  # 0.6 of just under ten turns: five
    assert window.first_kept == "m10"
    assert window.shortened == ()


def test_nothing_moves_while_all_since_first_kept_fits() -> None:
    transcript = chat(10)
    turn = cost(transcript[:2])
    assert shown(transcript, 8 * turn, "m4").first_kept == "m4"
    assert shown(transcript, 8 * turn - 1, "m4").first_kept == "m12"


@pytest.mark.parametrize("first_kept", [None, "nobody", "m3"])
def test_an_unknown_first_kept_starts_from_the_beginning(first_kept: str | None) -> None:
    assert shown(chat(3), 1000, first_kept).first_kept == "m0"


def test_the_newest_turn_stays_even_above_low_water() -> None:
    transcript = numbered([say("user", "old"), say("assistant", "old"), say("user", "n" * 3600)])
    window = shown(transcript, transcript[2].tokens)
    assert ids(window) == ["m2"]
    assert window.messages[1] is transcript[2]


# The newest turn alone is too large


def steps_of(sizes: Sequence[int]) -> list[Message]:
    """One call a step, each answered with so many characters."""
    steps = ((asks(f"c{place}"), say("tool", "r" * size, f"c{place}")) for place, size in enumerate(sizes))
    return [message for step in steps for message in step]


def test_old_tool_results_become_stubs_and_only_as_many_as_needed() -> None:
    transcript = numbered([say("user", "What is there?"), *steps_of([4000, 4000, 4000])])
    window = shown(transcript, cost(transcript) - 1500)
    assert window.shortened == ("m2", "m4")
    first, second = window.messages[3], window.messages[5]
    assert first.tokens <= STUB_TOKENS
    assert second.tokens > 300  # the last one gives only what is still needed
    assert first.content.startswith("rrr")
    assert first.content.endswith("rrr")
    assert "tokens left out ...]" in first.content
    assert ids(window) == [message.id for message in transcript]


def test_messages_above_their_share_are_cut_in_the_middle_and_the_small_stay_whole() -> None:
    transcript = numbered([say("user", "Sum this up: " + "x" * 8000 + " Thanks."), say("assistant", "y" * 400)])
    window = shown(transcript, 1000)
    user, reply = window.messages[1:]
    assert user.content.startswith("Sum this up: x")
    assert user.content.endswith("x Thanks.")
    assert "[... about 1,1" in user.content or "[... about 1,2" in user.content
    assert reply is transcript[1]
    assert window.shortened == ("m0",)
    assert 930 <= window.tokens - PROMPT.tokens <= 1000


def test_huge_arguments_become_small_valid_json_that_says_so() -> None:
    call = asks("c0", arguments=json.dumps({"text": "z" * 8000}), content="I write it down.")
    window = shown(numbered([say("user", "Write."), call, say("tool", "done", "c0")]), 200)
    made = window.messages[2]
    assert json.loads(made.tool_calls[0].arguments) == {"shortened": "about 2,011 tokens left out"}
    assert (made.content, made.tool_calls[0].id, made.tool_calls[0].name) == ("I write it down.", "c0", "look")
    assert window.shortened == ("m1",)


def test_small_arguments_outlast_a_long_text() -> None:
    arguments = json.dumps({"text": "z" * 200})
    step = [asks("c0", arguments=arguments, content="w" * 4000), say("tool", "done", "c0")]
    made = shown(numbered([say("user", "Write."), *step]), 200).messages[2]
    assert made.tool_calls[0].arguments == arguments
    assert "left out" in made.content


def test_the_oldest_steps_and_then_notes_go_when_there_are_too_many() -> None:
    transcript = numbered([note("n" * 400), say("user", "Go on."), *steps_of([400] * 50)])
    kept = ids(shown(transcript, 1000))
    assert kept[:2] == ["m0", "m1"]
    assert len(kept) > 12
    assert kept[2:] == [message.id for message in transcript][2 - len(kept) :]
    assert ids(shown(transcript, 100)) == ["m1", "m100", "m101"]


def test_a_window_too_small_for_the_newest_message_is_said_with_a_remedy() -> None:
    transcript = numbered([say("user", "u" * 4000)])
    floor = cheap(smallest(transcript[0]))
    assert shown(transcript, floor).shortened == ("m0",)
    for room in (floor - 1, 0, -100):
        with pytest.raises(ContextTooSmall, match="ASSISTANT_CONTEXT_TOKENS"):
            shown(transcript, room)
    with pytest.raises(ContextTooSmall):
        shown([], -1)


# Pairs


def test_a_call_that_was_never_answered_is_left_out_and_its_words_stay() -> None:
    step = [asks("a", "b", content="Two looks."), say("tool", "x", "b")]
    window = shown(numbered([say("user", "1"), *step, say("user", "2")]), 1000)
    made = window.messages[2]
    assert [call.id for call in made.tool_calls] == ["b"]
    assert (made.content, made.tokens) == ("Two looks.", cheap(made))
    assert window.shortened == ()


def test_a_wordless_message_whose_calls_were_never_answered_is_left_out() -> None:
    assert ids(shown(numbered([say("user", "1"), asks("a"), say("user", "2")]), 1000)) == ["m0", "m2"]


def test_an_answer_that_comes_late_or_twice_or_to_nothing_is_left_out() -> None:
    step = [asks("a", "b"), say("tool", "first", "b"), say("tool", "twice", "b")]
    rest = [say("user", "2"), say("tool", "late", "a")]
    window = shown(numbered([say("tool", "to nothing", "z"), say("user", "1"), *step, *rest]), 1000)
    assert ids(window) == ["m1", "m2", "m3", "m5"]
    assert window.first_kept == "m0"  # a message left out may still mark the place


def test_one_id_used_for_two_calls_keeps_both_answers() -> None:
    transcript = numbered([say("user", "1"), asks("a", "a"), say("tool", "x", "a"), say("tool", "y", "a")])
    assert shown(transcript, 1000).messages[1:] == tuple(transcript)


# Any history

texts = st.one_of(
    st.text(max_size=40),
    st.builds(lambda text, times: text * times, st.text(min_size=1, max_size=8), st.integers(1, 400)),
    st.sampled_from(["", "\ud800", "👩‍👩‍👧" * 60, "e\u0301" * 200, " " * 900, "<|endoftext|>" * 40, "语" * 300]),
)
names = st.sampled_from(["a", "b", "c", "call_9aB", ""])
calls = st.builds(ToolCall, names, st.just("look"), texts)
odd = st.one_of(
    st.builds(say, st.sampled_from(["user", "assistant", "system"]), texts),
    st.builds(note, texts),
    st.builds(say, st.just("assistant"), texts, calls=st.lists(calls, min_size=1, max_size=3)),
    st.builds(say, st.just("tool"), texts, names),
)


@st.composite
def steps(draw: st.DrawFn) -> list[Message]:
    """A step as it should be: calls with different ids, and all their answers."""
    asked = draw(st.lists(calls, min_size=1, max_size=4, unique_by=lambda call: call.id))
    answers = [say("tool", draw(texts), call.id) for call in draw(st.permutations(asked))]
    return [say("assistant", draw(texts), calls=asked), *answers]


histories = st.lists(st.one_of(steps(), odd.map(lambda message: [message])), max_size=14).map(
    lambda parts: numbered([message for part in parts for message in part])
)


def assert_pairs_whole(messages: Sequence[Message]) -> None:
    """As an endpoint checks it: after the calls come their answers, all of them and nothing else."""
    waiting: list[str | None] = []
    for message in messages:
        if message.role == "tool":
            assert message.tool_call_id in waiting
            waiting.remove(message.tool_call_id)
        else:
            assert not waiting
            waiting = [call.id for call in message.tool_calls]
    assert not waiting


def assert_true_to(transcript: Sequence[Message], window: Window) -> None:
    """Order is kept; what is not named as shortened is the same, but for calls that were never answered."""
    places = {message.id: place for place, message in enumerate(transcript)}
    order = [places[name] for name in ids(window)]
    assert order == sorted(set(order))
    for message in window.messages[1:]:
        said = transcript[places[message.id]]
        if message.id not in window.shortened and message is not said:
            assert len(message.tool_calls) < len(said.tool_calls)
            assert set(message.tool_calls) <= set(said.tool_calls)
            assert message._replace(tool_calls=said.tool_calls, tokens=said.tokens) == said


def assert_shows_the_newest_question(transcript: Sequence[Message], window: Window) -> None:
    asked = [message.id for message in transcript if message.role == "user"]
    assert [message.id for message in window.messages if message.role == "user"][-1:] == asked[-1:]


def floor_of(turn: Sequence[Message], count: Count) -> int:
    """Tokens that the user message and the newest step of a turn with whole pairs need at their smallest."""
    newest = max((place for place, message in enumerate(turn) if message.role != "tool"), default=0)
    kept = [message for place, message in enumerate(turn) if place >= newest or message.role == "user"]
    return sum(min(message.tokens, count(smallest(message))) for message in kept)


def newest_turn(transcript: Sequence[Message], count: Count) -> tuple[Message, ...]:
    """The newest turn with whole pairs, as a window without limits shows it."""
    whole = fit(PROMPT, transcript, 10**9, None, count)
    turns = turns_of(transcript)
    names = {message.id for message in turns[-1]} if turns else set()
    return tuple(message for message in whole.messages[1:] if message.id in names)


@settings(max_examples=200, deadline=None)
@given(transcript=histories, room=st.integers(0, 3000), data=st.data())
def test_any_history_fits_any_budget(transcript: list[Message], room: int, data: st.DataObject) -> None:
    first_kept = data.draw(st.sampled_from([None, *(message.id for message in transcript)]))
    if room < floor_of(newest_turn(transcript, cheap), cheap):
        return
    window = shown(transcript, room, first_kept)
    assert window.tokens == sum(map(cheap, window.messages)) <= PROMPT.tokens + room
    assert window.messages[0] is PROMPT
    assert_shows_the_newest_question(transcript, window)
    assert_pairs_whole(window.messages)
    assert_true_to(transcript, window)
    assert shown(transcript, room, first_kept) == window
    assert shown(transcript, room, window.first_kept) == window


@settings(max_examples=60, deadline=None)
@given(transcript=histories, spare=st.integers(0, 300))
def test_only_a_room_below_the_floor_is_refused(transcript: list[Message], spare: int) -> None:
    floor = floor_of(newest_turn(transcript, cheap), cheap)
    assert shown(transcript, floor + spare).tokens <= PROMPT.tokens + floor + spare
    with pytest.raises(ContextTooSmall):
        shown(transcript, floor - 1 - spare)


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.tuples(st.integers(0, 800), st.integers(0, 800)), min_size=30, max_size=60),
    room=st.integers(1500, 4000),
)
def test_in_a_growing_chat_the_window_moves_rarely(sizes: list[tuple[int, int]], room: int) -> None:
    """Between two cuts the chat must write what is above low water, so a cached prompt lasts that long."""
    transcript = numbered(
        [message for user, reply in sizes for message in (say("user", "u" * user), say("assistant", "a" * reply))]
    )
    largest = max(map(cost, turns_of(transcript)))
    kept: list[str | None] = [None]
    for end in range(1, len(transcript), 2):
        kept.append(shown(transcript[:end], room, kept[-1]).first_kept)
    moves = [turn for turn, (before, after) in enumerate(pairwise(kept[1:]), 1) if before != after]
    for before, after in pairwise(moves):
        written = cost(transcript[2 * before + 1 : 2 * after + 1])
        assert written > room * (1 - LOW_WATER)
        assert (after - before) * largest > room * (1 - LOW_WATER)


# With the real counter


@pytest.fixture(scope="module")
def counters(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Counter]:
    cache = tmp_path_factory.mktemp("tables")
    return {encoding: Counter(encoding, cache) for encoding in TABLES}


def counting(counter: Counter) -> Count:
    return lambda message: counter.message(message.role, message.content, message.name, message.tool_calls)


tool_sets = st.lists(st.fixed_dictionaries({"name": names, "description": texts}), max_size=3)


@settings(max_examples=60, deadline=None)
@given(
    history=histories,
    schemas=tool_sets,
    budget=st.integers(200, 4000),
    encoding=st.sampled_from(sorted(TABLES)),
)
def test_a_request_never_costs_more_than_the_model_can_read(
    counters: Mapping[str, Counter],
    history: list[Message],
    schemas: list[dict[str, str]],
    budget: int,
    encoding: str,
) -> None:
    count = counting(counters[encoding])
    transcript = [message._replace(tokens=count(message)) for message in history]
    system = PROMPT._replace(tokens=count(PROMPT))
    beside = counters[encoding].tools(schemas) + REPLY_PRIMING
    try:
        window = fit(system, transcript, budget - beside, None, Watched(transcript, count))
    except ContextTooSmall:
        assert budget - beside - system.tokens < floor_of(newest_turn(transcript, count), count)
        return
    assert beside + sum(map(count, window.messages)) <= budget
    assert window.tokens == sum(map(count, window.messages))
    assert_shows_the_newest_question(transcript, window)
    assert_pairs_whole(window.messages)
    assert_true_to(transcript, window)


@pytest.mark.parametrize("encoding", sorted(TABLES))
def test_a_cut_uses_most_of_its_room(counters: Mapping[str, Counter], encoding: str) -> None:
    count = counting(counters[encoding])
    message = say("user", "The quick brown fox jumps over the lazy dog, 1234 times; it's fine.\n" * 400)
    transcript = numbered([message._replace(tokens=count(message))])
    window = fit(PROMPT, transcript, PROMPT.tokens + 1000, None, Watched(transcript, count))
    assert 920 <= window.tokens - PROMPT.tokens <= 1000
