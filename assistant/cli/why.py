"""`assistant why`: what an answer rests on."""

import sys
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import click

from assistant.account import Account, account
from assistant.cli.explain import WIDTH, laid_out, reason, verdict
from assistant.cli.options import count, day, json_option, open_app, session_named
from assistant.cli.terminal import Output, document_stream
from assistant.recorder import Sent, sent
from memory.deltas import LOST
from memory.errors import NothingFound
from memory.manager import MemoryManager
from memory.masks import MARK
from memory.receipts import Found, Looked, Receipt
from memory.records import Message
from memory.session import clean

SCHEMA = "assistant.why/1"
EXIT_DIFFERS = 1
CUT_COLUMNS = ("unit", "score", "tokens", "source", "day", "text")
LONGEST_NUMBER = 6  # digits of a number that counts back; more are an id
SOURCE_COLUMNS = 22  # a session's id has as many


@click.command()
@click.argument("words", metavar="[ANSWER]", nargs=-1)
@click.option("--prompt", is_flag=True, help="Print the very request that was sent.")
@click.option("--step", type=click.IntRange(min=1), metavar="N", help="With --prompt, of the Nth call, not the last.")
@json_option
def command(words: tuple[str, ...], prompt: bool, step: int | None, as_json: bool) -> int:
    """Say why: what was found for an answer, what the model was shown, and what was cut.

    ANSWER is "last", a number that counts back from it, or the id of a message or of a session.
    """
    if len(words) > 1:
        raise click.UsageError(f"That is no answer's name. To ask it: assistant ask why {words[0]} ...")
    if step and not prompt:
        raise click.UsageError("--step goes with --prompt.")
    if prompt and as_json:
        raise click.UsageError("--prompt is JSON already.")
    app, output = open_app()
    told = account(app.memory, turn_named(app.memory, *words))
    if prompt:
        return show_request(output, sent(app.memory, call_of(told, step)))
    if as_json:
        output.json(as_object(told))
    else:
        output.lines(lines(told))
    return 0


def turn_named(memory: MemoryManager, name: str = "last") -> int:
    """The user message (its `seq`) of the answer that is meant. Raises NothingFound, and BadInput if several are."""
    receipts, name = memory.receipts, clean(name)
    if name == "last" or (name.isdecimal() and len(name) <= LONGEST_NUMBER):
        back = 1 if name == "last" else int(name)
        found = receipts.newest_turn(back) if back else None
        remedy = "Ask something first, or count less far back."
    else:
        found = receipts.turn_of_message(name)
        if found is None and not is_message(memory, name):
            found = receipts.last_turn_of(session_named(memory.store, name).id)
        remedy = "It was imported, or is older than receipts are."
    if found is None:
        raise NothingFound("There is no such answer with a receipt.", remedy)
    return found


def is_message(memory: MemoryManager, name: str) -> bool:
    """Whether a message has this id; one that was imported has no receipt."""
    return bool(memory.store.number("SELECT count(*) FROM messages WHERE id = ?", [name]))


def call_of(told: Account, step: int | None) -> Receipt:
    """The call of this step, or the last. Raises NothingFound."""
    if step is None:
        return told.calls[-1]
    if step > len(told.calls):
        raise NothingFound(f"The answer took {count(len(told.calls), 'call')}.", "Name one of them.")
    return told.calls[step - 1]


def show_request(output: Output, request: Sent) -> int:
    """Print a request's body, byte for byte; 1 where that cannot be done any more."""
    with document_stream() as out:
        out.write(request.body.decode())
    if sys.stdout.isatty():
        click.echo()
    if masks := request.body.count(MARK.encode()):
        output.note(f"{count(masks, 'secret')} in it {'is' if masks == 1 else 'are'} masked: the model saw more.")
    if request.problem:
        output.error(request.problem)
    return EXIT_DIFFERS if request.problem else 0


# ---------------------------------------------------------------------- for machines


def as_object(told: Account) -> dict[str, Any]:
    """The account in the form assistant.why/1."""
    return {
        "schema": SCHEMA,
        "session_id": told.session.id,
        "title": told.session.title,
        "question": said_object(told.asked),
        "answer": told.answer and said_object(told.answer),
        "model": told.calls[-1].model,
        **looked_object(told.looked),
        "earlier": [{"turn": f"m{one.turn}", **looked_object(one)} for one in told.earlier],
        "conversation": asdict(told.conversation),
        "calls": [call_object(call) for call in told.calls],
    }


def said_object(message: Message) -> dict[str, Any]:
    """A message of the turn."""
    return {"message_id": message.id, "at": message.at.isoformat(), "text": message.content}


def looked_object(looked: Looked) -> dict[str, Any]:
    """What was found: shown, cut, the gate's verdict, and what went wrong."""
    return {
        "shown": [found_object(one) for one in looked.found if not one.reason],
        "cut": [found_object(one) | {"reason": one.reason} for one in looked.found if one.reason],
        "gate": dict(looked.gate),
        "trouble": looked.trouble,
    }


def found_object(found: Found) -> dict[str, Any]:
    """Something found, as a hit of assistant.recall/1 with its unit; a text of null was forgotten since."""
    return {
        "rank": found.place,
        "unit": found.unit,
        "score": found.score,
        "kind": found.kind,
        "session_id": found.session_id,
        "message_ids": list(found.message_ids),
        "text": found.text,
        "at": found.at and found.at.isoformat(),
        "tokens": found.tokens,
        "origin": found.origin,
        "why": dict(found.why),
    }


def call_object(call: Receipt) -> dict[str, Any]:
    """A call with its outcome, which is null while it lasts or where the process was killed in it."""
    return {
        "step": call.step,
        "at": call.at.isoformat(),
        "model": call.model,
        "bytes": call.bytes,
        "sha256": call.sha256,
        "outcome": call.outcome and call.outcome._asdict(),
    }


# ---------------------------------------------------------------------- for people, in 80 columns


def lines(told: Account) -> Iterator[str]:
    """The account: head, what went into the prompt, what was found and did not, and the calls."""
    yield from head(told)
    yield from shown(told.looked, "Went into the prompt")
    if told.looked.trouble:
        yield told.looked.trouble
    if told.looked.gate:
        yield verdict(told.looked.gate)
    for one in told.earlier:
        if any(not found.reason for found in one.found):
            yield from shown(one, "Recalled earlier, and in the prompt still")
    yield from cut(told.looked)
    yield from conversation(told)
    yield from calls(told.calls)


def head(told: Account) -> Iterator[str]:
    """Question and answer by their first words, and where they stand."""
    yield cut_to(f"You asked: {told.asked.content}")
    yield cut_to(f"It said: {told.answer.content}" if told.answer else "It said nothing.")
    at = f"{told.asked.at.astimezone():%Y-%m-%d %H:%M}"
    where = f"session {told.session.id}, message {told.asked.id}"
    yield from textwrap.wrap(f"{at}, {told.calls[-1].model}, {where}", WIDTH, break_on_hyphens=False)


def shown(looked: Looked, title: str) -> Iterator[str]:
    """What a prompt showed: a row for each, and below it whence it came and what its score is made of."""
    found = [one for one in looked.found if not one.reason]
    tokens = sum(one.tokens for one in found)
    room = next((one.why["budget"]["of"] for one in found if "budget" in one.why), 0)
    of = f" of {room:,}" if room else ""
    yield from ["", f"{title}: {count(len(found), 'text')}, {tokens:,}{of} tokens" if found else f"{title}: nothing"]
    if not found:
        return
    rows = [[str(one.place), one.unit, figure(one.score), str(one.tokens), one.kind, *described(one)] for one in found]
    header, *body = laid_out([["hit", "unit", "score", "tokens", "kind", "day", "text"], *rows])
    yield header
    for one, line in zip(found, body, strict=True):
        yield line
        for told in filter(None, (whence(one), reason(one.why))):
            yield from textwrap.wrap(told, WIDTH, initial_indent="     ", subsequent_indent="       ")


def described(one: Found) -> tuple[str, str]:
    """Day and text of something found."""
    return day(one.at) if one.at else "-", LOST if one.text is None else one.text


def whence(one: Found) -> str:
    """The session and the messages that something is from."""
    if one.text is None:
        return ""
    messages = f", message {', '.join(one.message_ids)}" if one.message_ids else ""
    return f"session {one.session_id}{messages}"


def source(one: Found) -> str:
    """The message that something is or rests on, or its session."""
    return next(iter(one.message_ids), one.session_id) + ("" if len(one.message_ids) < 2 else " …")


def cut(looked: Looked) -> Iterator[str]:
    """What was found and not shown, by the reasons."""
    left_out = [one for one in looked.found if one.reason]
    for why in dict.fromkeys(one.reason for one in left_out):
        rows = [cut_row(one) for one in left_out if one.reason == why]
        yield from ["", f"Found, and not shown: {why}", *laid_out([CUT_COLUMNS, *rows])]


def cut_row(one: Found) -> list[str]:
    """Something that was cut, with the message or session it is from."""
    return [one.unit, figure(one.score), str(one.tokens), source(one)[:SOURCE_COLUMNS], *described(one)]


def conversation(told: Account) -> Iterator[str]:
    """What of the conversation itself stood in the window."""
    part = told.conversation
    left_out = f"; {count(part.left_out, 'older message')} left out" if part.left_out else ""
    shortened = f"; shortened: {', '.join(part.shortened)}" if part.shortened else ""
    yield ""
    yield from textwrap.wrap(f"Of this conversation: {count(part.shown, 'message')}{left_out}{shortened}", WIDTH)


def calls(made: Sequence[Receipt]) -> Iterator[str]:
    """The model calls, one a row."""
    yield from ["", "Calls of the model:"]
    yield from laid_out([["step", "bytes", "prompt", "cached", "reply", "ms", "retries", "end"], *map(call_row, made)])


def call_row(call: Receipt) -> list[str]:
    """A call with its size, the tokens as the endpoint counts them, and its end."""
    if call.outcome is None:
        return [str(call.step), f"{call.bytes:,}", *"-----", "no end was noted: it lasts, or its process was killed"]
    out = call.outcome
    tokens = [amount(one) for one in (out.prompt_tokens, out.cached_tokens, out.completion_tokens)]
    return [str(call.step), f"{call.bytes:,}", *tokens, f"{out.ms:,}", str(out.retries), out.finish or out.error]


def figure(value: float) -> str:
    """A score."""
    return f"{value:.2f}"


def amount(value: int | None) -> str:
    """A number that may not be known."""
    return "-" if value is None else f"{value:,}"


def cut_to(text: str) -> str:
    """The beginning of a text, in one line of 80 columns."""
    return textwrap.shorten(text, WIDTH, placeholder=" …")
