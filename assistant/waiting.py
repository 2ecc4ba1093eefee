"""What of a turn waits for its owner, in the store: calls and plans; and what they come to when the turn goes on."""

from collections.abc import Sequence
from typing import NoReturn

from assistant.acting import NOT_ANSWERED
from assistant.approval import Decision, Wanted, by_owner, by_rule
from assistant.errors import Paused
from assistant.planning import Agree
from assistant.plans import Steps, lines
from assistant.policy import Verdict
from memory.errors import BadInput
from memory.pending import Pending, PendingRows, new_pending_id
from memory.session import now

CHANGED = "Nothing was run: what would be done is not what was shown any more. "

Judged = Sequence[tuple[Wanted, Verdict]]


class Waiting:
    """An approval.Later for one turn of a session."""

    def __init__(self, rows: PendingRows, session_id: str, turn: int, paused: bool = False) -> None:
        """`turn` is its user message's `seq`. `paused`: its first step is the one that waited."""
        self._rows, self._session_id, self._turn = rows, session_id, turn
        self._paused = paused

    def decided(self, wanted: Judged) -> Sequence[Decision] | None:
        """What was decided on the calls of the step that waited; None for any other step.

        They are marked before they run: should the process be killed then, none runs twice. Raises Paused where one
        was not decided, or would not do any more what was shown: then none runs. Raises BadInput where its owner
        says something else at this very moment. Where nothing waits they were broken off, and none is run again.
        """
        if not self._paused:
            return None
        self._paused = False
        held = {row.call_id: row for row in self._rows.of_session(self._session_id)}
        if not held:  # they waited for nothing: the process was killed while they ran, or just before
            return [Decision(False, "interrupted", NOT_ANSWERED) for _ in wanted]
        decisions = [_decision(one, verdict, held.get(one.call.id)) for one, verdict in wanted]
        known = [one for one in decisions if one is not None]
        if len(known) < len(decisions):
            decided = [bool(decision) for decision in decisions]
            kept = [held.get(one.call.id) if ok else None for (one, _), ok in zip(wanted, decided, strict=True)]
            changed = any(row.decision and row not in kept for row in held.values())
            self._pause(kept, wanted, CHANGED if changed else "")
        if not self._rows.begin([held[one.call.id] for one, _ in wanted if one.call.id in held], now()):
            raise BadInput("Something else was said to these calls at the same time.", "See `assistant pending`.")
        return known

    def wait(self, wanted: Judged) -> NoReturn:
        """Keep the calls of a step, those that ask nothing among them. Raises Paused."""
        self._pause([None] * len(wanted), wanted)

    def _pause(self, kept: Sequence[Pending | None], wanted: Judged, told: str = "") -> NoReturn:
        """Let the calls wait; `kept` are the rows of those that were decided and stay so."""
        rows = [row or self._row(*each) for row, each in zip(kept, wanted, strict=True)]
        self._rows.wait(self._session_id, rows)
        number = sum(row.waits for row in rows)
        wait = "1 call waits" if number == 1 else f"{number} calls wait"
        raise Paused(f"{told}{wait} for your approval.", "See `assistant pending`.")

    def _row(self, one: Wanted, verdict: Verdict) -> Pending:
        why = verdict.why if verdict.rule == "ask" else ""
        return Pending(
            new_pending_id(), self._session_id, self._turn, "call", one.prepared.shown, why, now(),
            call_id=one.call.id, name=one.call.name,
        )  # fmt: skip


def _decision(one: Wanted, verdict: Verdict, row: Pending | None) -> Decision | None:
    """What a call that waited comes to; None: its owner must be asked, or asked once more."""
    if row and row.begun_at:
        return Decision(False, "interrupted", NOT_ANSWERED)
    if row and row.decision == "denied":
        return by_owner(False, row.note)
    if verdict.rule != "ask":
        return by_rule(verdict)
    same = row and row.decision == "approved" and (row.name, row.shown) == (one.call.name, one.prepared.shown)
    return by_owner(True) if same else None


def agree_on(rows: PendingRows, session_id: str, turn: int, agree: Agree | None, steps: Steps) -> Steps | None:
    """The steps of a plan that its owner says yes to, now or before; None for a no.

    Raises Paused where nobody can be asked (`agree` is None): then the plan waits.
    """
    held = next((row for row in rows.of_session(session_id) if row.kind == "plan"), None)
    if held and held.decision == "denied":
        rows.past(session_id)
        return None
    if held and held.decision:
        return steps
    if agree:
        return agree(steps)
    if not held:
        why = "a plan is agreed on before it is carried out"
        rows.wait(session_id, [Pending(new_pending_id(), session_id, turn, "plan", lines(steps), why, now())])
    raise Paused("The plan waits for your approval.", "See `assistant pending`.")
