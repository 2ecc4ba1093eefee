"""What the model is shown: the system message and the newest whole turns that fit. Pure: nothing is read or written.

Whole turns go first, the oldest before the newer ones. Only a newest turn that is too large alone is shortened, in
the window and visibly; the transcript stays as it was.
"""

import json
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, compress, pairwise

from memory.errors import ContextTooSmall
from memory.records import RECALLED, Message, ToolCall

Count = Callable[[Message], int]
Messages = tuple[Message, ...]

# A cut goes down to this share of the room. An endpoint reuses the part of a prompt that has not changed, so one cut
# every so many turns is cheaper than one at each turn; at 0.6 a chat writes 0.4 of its room before the next.
LOW_WATER = 0.6
STUB_TOKENS = 64  # what an older tool result shrinks to: the marker and some 200 characters
ARGUMENTS_KEPT = 400  # characters of a call's arguments that are given up only when all else is
SHORT_CHARS = 48  # a text up to this long is not shortened: what would stand for it is no shorter
CUTS = 8  # tries to meet a limit; each takes at least a twentieth off


@dataclass(frozen=True, slots=True)
class Window:
    """The messages of one request, the system message first, and what they cost in counted tokens.

    `first_kept` is the first message of the first kept turn, to be handed back next time ("": no turn).
    `shortened` names the messages whose text was cut for this window.
    """

    messages: Messages
    first_kept: str
    tokens: int
    shortened: tuple[str, ...] = ()


def fit(system: Message, transcript: Sequence[Message], budget: int, first_kept: str | None, count: Count) -> Window:
    """Choose what the model is shown of one session's `transcript`, within `budget` counted tokens for all messages.

    While all from `first_kept` on fits, nothing moves (None or an unknown id: from the beginning). Else the oldest
    turns go, at once down to LOW_WATER of the room beside the system message; the newest turn always stays.
    `count` is only asked about messages made here, never about one of the transcript, whose `tokens` are trusted.
    A call without its answer and an answer without its call (a killed process) are left out.

    Raises ContextTooSmall when the system message, the newest user message and the newest step do not fit even in
    their `smallest` form.
    """
    room = budget - system.tokens
    turns = turns_of(transcript)
    start = next((place for place, turn in enumerate(turns) if turn[0].id == first_kept), 0)
    kept = [_paired(turn, count) for turn in turns[start:]]
    dropped = _dropped([cost(turn) for turn in kept], room)
    whole = tuple(chain.from_iterable(kept[dropped:]))
    shown = whole if cost(whole) <= room else _squeezed(whole, room, count)
    return Window(
        messages=(system, *shown),
        first_kept=turns[start + dropped][0].id if turns else "",
        tokens=system.tokens + cost(shown),
        shortened=_changed(whole, shown),
    )


def cost(messages: Iterable[Message]) -> int:
    """Tokens that `messages` cost together."""
    return sum(message.tokens for message in messages)


def _changed(before: Messages, after: Messages) -> tuple[str, ...]:
    whole = {message.id: message for message in before}
    return tuple(message.id for message in after if message is not whole[message.id])


def turns_of(transcript: Sequence[Message]) -> list[Messages]:
    """Split a transcript into turns: the late notes before a user message, that message, and all up to the next turn.

    What stands before the first user message belongs to the first turn.
    """
    users = [place for place, message in enumerate(transcript) if message.role == "user"]
    starts = [0, *(_start(transcript, place) for place in users[1:])] if transcript else []
    return [tuple(transcript[start:end]) for start, end in pairwise([*starts, len(transcript)])]


def _start(transcript: Sequence[Message], user: int) -> int:
    """Where the late notes of the user message at `user` begin."""
    while user > 0 and _is_note(transcript[user - 1]):
        user -= 1
    return user


def _is_note(message: Message) -> bool:
    return message.role == "system" and message.origin == RECALLED


def _dropped(costs: Sequence[int], room: int) -> int:
    """How many of the oldest turns go: none while all fit, else all that do not fit under LOW_WATER but the newest."""
    total = sum(costs)
    if total <= room:
        return 0
    number = 0
    while number < len(costs) - 1 and total > room * LOW_WATER:
        total -= costs[number]
        number += 1
    return number


# Pairs: a call and its answer.


def _units(messages: Sequence[Message]) -> list[Messages]:
    """Split a turn into what only goes together: an assistant message with the tool results right after it."""
    units: list[Messages] = []
    for message in messages:
        if message.role == "tool" and units and units[-1][0].tool_calls:
            units[-1] += (message,)
        else:
            units.append((message,))
    return units


def _paired(turn: Messages, count: Count) -> Messages:
    """Leave out each call without an answer, and each answer without a call: endpoints refuse a request with either."""
    return tuple(chain.from_iterable(_answered(unit, count) for unit in _units(turn)))


def _answered(unit: Messages, count: Count) -> Messages:
    head, answers = unit[0], unit[1:]
    if head.role == "tool":
        return ()
    answered = _used([call.id for call in head.tool_calls], [answer.tool_call_id for answer in answers])
    calls = tuple(compress(head.tool_calls, answered))
    asked = _used([answer.tool_call_id for answer in answers], [call.id for call in calls])
    return (*_with_calls(head, calls, count), *compress(answers, asked))


def _used(ids: Sequence[str | None], partners: Sequence[str | None]) -> list[bool]:
    """Say for each id whether a partner has it too. Small models repeat an id, so each partner serves once."""
    free = list(partners)
    used = [False] * len(ids)
    for place, one in enumerate(ids):
        if one in free:
            free.remove(one)
            used[place] = True
    return used


def _with_calls(message: Message, calls: tuple[ToolCall, ...], count: Count) -> Messages:
    """The assistant message with these calls alone, or nothing when neither a call nor a word is left."""
    if calls == message.tool_calls:
        return (message,)
    return (_counted(message._replace(tool_calls=calls), count),) if calls or message.content else ()


def _counted(message: Message, count: Count) -> Message:
    return message._replace(tokens=count(message))


# The newest turn, too large alone.


def _squeezed(turn: Messages, room: int, count: Count) -> Messages:
    """Bring one turn under `room`: leave out old steps if there are too many, give each message a limit, and cut."""
    floors = {message.id: _floor(message, count) for message in turn}
    messages = _fewer(turn, floors, room)
    limits = _limits(messages, floors, room)
    return tuple(
        message if message.tokens <= limits[message.id] else _shortened(message, limits[message.id], count)
        for message in messages
    )


def _floor(message: Message, count: Count) -> int:
    """Tokens of the message in its smallest form, or as it is if that is less."""
    least = smallest(message)
    return message.tokens if least == message else min(message.tokens, count(least))


def _fewer(turn: Messages, floors: Mapping[str, int], room: int) -> Messages:
    """Leave out the oldest steps, then late notes, until each message left has room for a stub.

    The user message and the newest step stay; they may go below a stub, down to their floors.
    """
    units = _units(turn)
    stubs = [sum(max(floors[m.id], min(m.tokens, STUB_TOKENS)) for m in unit) for unit in units]
    need = sum(stubs)
    left_out = set()
    for place in _expendable(units):
        if need <= room:
            break
        need -= stubs[place]
        left_out.add(place)
    messages = tuple(chain.from_iterable(unit for place, unit in enumerate(units) if place not in left_out))
    _check(sum(floors[message.id] for message in messages), room)
    return messages


def _expendable(units: Sequence[Messages]) -> list[int]:
    """The places of what may go, first to last: steps before notes, the older before the newer."""
    places = [place for place, unit in enumerate(units[:-1]) if unit[0].role != "user"]
    return sorted(places, key=lambda place: _is_note(units[place][0]))


def _check(need: int, room: int) -> None:
    if need > room:
        raise ContextTooSmall(
            f"The newest message needs {need} tokens and the model's window has {max(room, 0)} left for it.",
            "Raise ASSISTANT_CONTEXT_TOKENS or choose a model with a larger window.",
        )


def _limits(messages: Messages, floors: Mapping[str, int], room: int) -> dict[str, int]:
    """The most tokens that each message may cost, together no more than `room`; no limit is under its floor.

    Tool results give first, the oldest before the newer, each down to a stub and the last only as far as needed.
    If that is not enough, one cap is set on all.
    """
    limits = {message.id: message.tokens for message in messages}
    excess = cost(messages) - room
    for message in messages:
        if message.role == "tool":
            give = min(excess, message.tokens - max(floors[message.id], STUB_TOKENS))
            limits[message.id] -= max(give, 0)
            excess -= max(give, 0)
    return limits if excess <= 0 else _capped(limits, floors, room)


def _capped(limits: Mapping[str, int], floors: Mapping[str, int], room: int) -> dict[str, int]:
    """Water-filling: the highest cap that fits, so that small messages stay whole and the large ones share the rest."""

    def under(cap: int) -> dict[str, int]:
        return {key: max(floors[key], min(limit, cap)) for key, limit in limits.items()}

    caps = range(max(limits.values()) + 1)
    return under(bisect_right(caps, room, key=lambda cap: sum(under(cap).values())) - 1)


# One message, cut.


def smallest(message: Message) -> Message:
    """The message as short as the window can make it: markers in place of its text and its calls' arguments."""
    return _middle_left_out(_arguments_left_out(message, SHORT_CHARS), 0)


def _shortened(message: Message, limit: int, count: Count) -> Message:
    """Cut the message to `limit` tokens, which is no less than its floor. Small arguments are given up last."""
    gentle = _cut(message, ARGUMENTS_KEPT, limit, count)
    return gentle if gentle.tokens <= limit else _cut(message, SHORT_CHARS, limit, count)


def _cut(message: Message, arguments_kept: int, limit: int, count: Count) -> Message:
    """Leave out arguments longer than `arguments_kept` characters, then as much of the content as `limit` asks for."""
    fewer = _arguments_left_out(message, arguments_kept)
    if fewer is not message:
        fewer = _counted(fewer, count)
    if fewer.tokens <= limit or len(fewer.content) <= SHORT_CHARS:
        return fewer
    return _cut_middle(fewer, limit, count)


def _cut_middle(message: Message, limit: int, count: Count) -> Message:
    """Keep head and tail of the content, characters in proportion to tokens, and count again until `limit` holds."""
    bare = _counted(_middle_left_out(message, 0), count)
    room = limit - bare.tokens
    kept = len(message.content) * room // max(message.tokens - bare.tokens, 1)
    for _ in range(CUTS):
        if room <= 0:
            break
        made = _counted(_middle_left_out(message, kept), count)
        if made.tokens <= limit:
            return made
        # Head and tail are denser than the middle; a twentieth less than in proportion makes a second miss rare.
        kept = kept * room * 19 // ((made.tokens - bare.tokens) * 20)
    return bare


def _middle_left_out(message: Message, kept: int) -> Message:
    """The message with `kept` characters of its content, half from each end, and a marker between them."""
    text = message.content
    if len(text) <= SHORT_CHARS:
        return message
    head, tail = text[: (kept + 1) // 2], text[len(text) - kept // 2 :]
    left_out = message.tokens * (len(text) - kept) // len(text)
    parts = (head, f"[... about {left_out:,} tokens left out ...]", tail)
    return message._replace(content="\n".join(part for part in parts if part))


def _arguments_left_out(message: Message, longest: int) -> Message:
    """The message with a note, itself valid JSON, in place of arguments longer than `longest` characters."""
    calls = tuple(
        call._replace(arguments=_note(message, call)) if len(call.arguments) > longest else call
        for call in message.tool_calls
    )
    return message if calls == message.tool_calls else message._replace(tool_calls=calls)


def _note(message: Message, call: ToolCall) -> str:
    chars = len(message.content) + sum(len(each.arguments) for each in message.tool_calls)
    left_out = message.tokens * len(call.arguments) // chars
    return json.dumps({"shortened": f"about {left_out:,} tokens left out"})
