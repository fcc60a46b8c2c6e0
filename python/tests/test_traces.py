"""The conformance traces, replayed through the public, typed engine and compared by the hash of their transcripts."""

import hashlib
import json
import pathlib
import re

import pytest
import sluicegate
from sluicegate import Decision, EndReason, Engine, Event, Input, Outcome, Phase, Policy, Rng, Snapshot, Standing

TRACES = pathlib.Path(__file__).parents[2] / "tests" / "vectors" / "traces"
HASHES = dict(
    reversed(line.split()) for line in (TRACES / "HASHES").read_text(encoding="utf-8").splitlines() if line
)


def read(name):
    return json.loads((TRACES / f"{name}.json").read_text(encoding="utf-8"))


def word_of(form):
    """The word for a class of outcomes as a trace writes it."""
    return form if isinstance(form, str) else "throttled_" + form["throttled"]


def form_of(word):
    return {"throttled": word[len("throttled_") :]} if word.startswith("throttled_") else word


def outcome_of(form):
    spent = form["spent"]
    return Outcome(
        word_of(form["class"]),
        spent=spent if isinstance(spent, str) else spent["tokens"],
        retry_after_us=form.get("retry_after_us"),
        output_tokens=form.get("output_tokens"),
        truncated=form.get("truncated", False),
    )


def input_of(form):
    if form == "wake":
        return Input.Wake()
    [(kind, fields)] = form.items()
    if kind == "submit":
        fields = dict(fields)
        return Input.Submit(fields.pop("id"), fields.pop("model"), fields.pop("tokens"), **fields)
    if kind == "report":
        return Input.Report(fields["attempt"], outcome_of(fields["outcome"]))
    assert kind == "cancel"
    return Input.Cancel(fields)


def reason_form(reason):
    if isinstance(reason, EndReason.Refused):
        why = {"too_large": {"limit": reason.limit}} if reason.why == "too_large" else reason.why
        return {"refused": {"why": why, "retry_at": reason.retry_at}}
    if isinstance(reason, EndReason.Failed):
        return {"failed": {"class": form_of(reason.class_)}}
    return {EndReason.Answered: "answered", EndReason.Expired: "expired", EndReason.Cancelled: "cancelled"}[type(reason)]


def snake(kind):
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__).lower()


def fields_of(value):
    return {name.rstrip("_"): getattr(value, name) for name in value.__match_args__}


def decision_form(decision):
    fields = fields_of(decision)
    if isinstance(decision, Decision.End):
        fields["reason"] = reason_form(fields["reason"])
    if fields.get("max_tokens", 0) is None:
        del fields["max_tokens"]
    return {snake(type(decision)): fields}


def event_form(event):
    fields = fields_of(event)
    if "class" in fields:
        fields["class"] = form_of(fields["class"])
    if isinstance(event, Event.Ended):
        fields["reason"] = reason_form(fields["reason"])
    return {snake(type(event)): fields}


def phase_form(phase):
    if isinstance(phase, Phase.Waiting):
        return "waiting"
    if isinstance(phase, Phase.Ended):
        return {"ended": reason_form(phase.reason)}
    [value] = fields_of(phase).values()
    return {snake(type(phase)): value}


def standing_form(standing):
    fields = list(fields_of(standing).values())
    if not fields:
        return snake(type(standing))
    return {snake(type(standing)): fields[0] if len(fields) == 1 else fields}


def explanation_form(explanation):
    return {
        "call": explanation.call,
        "phase": phase_form(explanation.phase),
        "attempts": explanation.attempts,
        "ahead": explanation.ahead,
        "as_of": explanation.as_of,
        "endpoints": [
            {"endpoint": view.endpoint, "standing": standing_form(view.standing)} for view in explanation.endpoints
        ],
        "trials": [
            {
                "attempt": trial.attempt,
                "endpoint": trial.endpoint,
                "sent_at": trial.sent_at,
                "class": trial.class_ and form_of(trial.class_),
            }
            for trial in explanation.trials
        ],
    }


class Player:
    def __init__(self, policy, draws, now):
        self.policy, self.now, self.saved = policy, now, None
        self.engine, self.rng = Engine(policy, now), Rng.listed(draws)

    def play(self, step):
        at = step.get("at")
        if at == "wakeup":
            self.now = self.engine.next_wakeup().at
        else:
            self.now = self.now + step["after"] if at is None else at
        said = {}
        for _ in range(step.get("times", 1)):
            self.act(step, said)
        for key, poll, form in (
            ("decisions", self.engine.poll_decision, decision_form),
            ("events", self.engine.poll_event, event_form),
        ):
            found = []
            while len(found) < step.get("take", len(found) + 1) and (one := poll()) is not None:
                found.append(form(one))
            if found:
                said[key] = found
        wakeup = self.engine.next_wakeup()
        if wakeup is not None:
            said["wakeup"] = {"at": wakeup.at, "reason": wakeup.reason}
        return said

    def act(self, step, said):
        if "input" in step:
            try:
                self.engine.handle(self.now, input_of(step["input"]), self.rng)
            except sluicegate.InputError as error:
                said["error"] = error.code
        elif "reconfigure" in step:
            self.policy = Policy.parse(step["reconfigure"])
            self.engine.reconfigure(self.now, self.policy)
        elif "explain" in step:
            explanation = self.engine.explain(self.now, step["explain"])
            said["explanation"] = explanation and explanation_form(explanation)
        elif "snapshot" in step:
            self.saved = self.engine.snapshot(self.now).to_json()
            said["saved"] = json.loads(self.saved)
        else:
            restore = step["restore"]
            text = json.dumps(restore["snapshot"]) if restore.get("snapshot") is not None else self.saved
            try:
                snapshot = Snapshot.from_json(text)
            except sluicegate.SnapshotError as error:
                said["error"] = error.code
            else:
                self.engine = Engine.restore(self.engine.policy, snapshot, self.now, asleep_us=restore["asleep_us"])


def replay(trace):
    try:
        policy = Policy.from_json(trace["policy_text"]) if "policy_text" in trace else Policy.parse(trace["policy"])
    except sluicegate.PolicyError as error:
        return [{"faults": [{"code": fault.code, "pointer": fault.pointer} for fault in error.faults]}]
    steps = trace.get("steps", [])
    start = steps[0].get("at", 0) if steps else 0
    player = Player(policy, [int(draw) for draw in trace.get("draws", [])], start if isinstance(start, int) else 0)
    return [player.play(step) for step in steps]


def transcript(said):
    return "".join(
        json.dumps(line, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n" for line in said
    )


@pytest.mark.parametrize("name", sorted(HASHES))
def test_a_trace_decides_as_everywhere(name):
    trace = read(name)
    said = replay(trace)
    for step, line in zip(trace.get("steps", []), said):
        for key in ("error", "explanation", "saved", "decisions", "events", "wakeup"):
            assert line.get(key) == step.get(key), key
    assert hashlib.sha256(transcript(said).encode()).hexdigest() == HASHES[name]


def test_every_kind_of_event_is_replayed():
    """An event that Python lacked would be left out of a transcript, so that its hash would differ."""
    seen = set()
    for name in HASHES:
        trace = read(name)
        for step in trace.get("steps", []):
            seen.update(kind for event in step.get("events", []) for kind in event)
    assert seen == {snake(kind) for kind in vars(Event).values() if isinstance(kind, type)}


def test_every_standing_has_a_form():
    assert standing_form(Standing.Quota("tokens", 5)) == {"quota": ["tokens", 5]}
