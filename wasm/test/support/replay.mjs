// Replays a conformance trace through the package's own surface; `tests/vectors/README.md` says what one looks like. Runs in
// Node and in a page. The transcript is in the vectors' words, so what the package says is put back into them here.

const snake = (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
const camel = (name) => name.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase());
const fields = (object, name) => Object.fromEntries(Object.entries(object).map(([key, value]) => [name(key), value]));

/** `throttled_tokens` and the like carry a quota. */
const classToVector = (name) => (name?.startsWith("throttled_") ? { throttled: name.slice(10) } : name);
const classFromVector = (value) => (typeof value === "string" ? value : `throttled_${value.throttled}`);

function reasonToVector(reason) {
  if (reason.type === "failed") return { failed: { class: classToVector(reason.class) } };
  if (reason.type !== "refused") return reason.type;
  const why = reason.limit === undefined ? reason.why : { [reason.why]: { limit: reason.limit } };
  return { refused: { why, retry_at: reason.retryAt ?? null } };
}

function taggedToVector({ type, ...rest }) {
  const said = fields(rest, snake);
  if ("class" in said) said.class = classToVector(said.class);
  if ("reason" in said) said.reason = reasonToVector(said.reason);
  return { [type]: said };
}

function phaseToVector(phase) {
  if (phase.type === "delayed") return { delayed: phase.at };
  if (phase.type === "out") return { out: phase.attempt };
  return phase.type === "ended" ? { ended: reasonToVector(phase.reason) } : phase.type;
}

function standingToVector(standing) {
  if (standing.type === "quota") return { quota: [standing.quota, standing.at] };
  if (standing.type === "shut") return { shut: standing.at };
  return standing.type === "too_large" ? { too_large: standing.limit } : standing.type;
}

function explanationToVector(explanation) {
  if (explanation === undefined) return null;
  return {
    ...fields(explanation, snake),
    phase: phaseToVector(explanation.phase),
    endpoints: explanation.endpoints.map((view) => ({ ...view, standing: standingToVector(view.standing) })),
    trials: explanation.trials.map((trial) => ({ ...fields(trial, snake), class: classToVector(trial.class) })),
  };
}

function inputFromVector(input) {
  if (input === "wake") return { type: "wake" };
  if ("cancel" in input) return { type: "cancel", call: input.cancel };
  if ("submit" in input) return { type: "submit", call: fields(input.submit, camel) };
  const { attempt, outcome } = input.report;
  const { spent } = outcome;
  const told = { ...fields(outcome, camel), class: classFromVector(outcome.class) };
  return { type: "report", attempt, outcome: { ...told, spent: typeof spent === "object" ? spent.tokens : spent } };
}

/** JSON without spaces, the keys of objects in the order of their bytes. */
function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const keys = Object.keys(value).filter((key) => value[key] !== undefined);
  return `{${keys
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`)
    .join(",")}}`;
}

function* all(poll, most) {
  for (let count = 0, said; count < most && (said = poll()) !== undefined; count += 1) yield said;
}

/** The transcript of a trace. */
export function replay({ Engine, Policy, PolicyError, Random, SluicegateError }, trace) {
  let policy;
  try {
    policy = Policy.parse(trace.policy_text ?? trace.policy);
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error;
    return `${canonical({ faults: error.faults.map(({ code, pointer }) => ({ code, pointer })) })}\n`;
  }
  const random = Random.listed((trace.draws ?? []).map(BigInt));
  let now = typeof trace.steps[0]?.at === "number" ? trace.steps[0].at : 0;
  let engine = new Engine(policy, now);
  let saved;
  let transcript = "";
  for (const step of trace.steps) {
    now = step.at === "wakeup" ? engine.nextWakeup().at : (step.at ?? now + step.after);
    const said = {};
    for (let time = 0; time < (step.times ?? 1); time += 1) {
      try {
        if ("input" in step) engine.handle(now, inputFromVector(step.input), random);
        else if ("reconfigure" in step) engine.reconfigure(now, step.reconfigure);
        else if ("explain" in step) said.explanation = explanationToVector(engine.explain(now, step.explain));
        else if ("snapshot" in step) said.saved = JSON.parse((saved = engine.snapshot(now)));
        else {
          const { snapshot, asleep_us: asleep } = step.restore;
          engine = Engine.restore(engine.policy, now, snapshot === undefined ? saved : JSON.stringify(snapshot), asleep);
        }
      } catch (error) {
        if (!(error instanceof SluicegateError)) throw error;
        said.error = error.code;
      }
    }
    const most = step.take ?? Infinity;
    const decisions = [...all(() => engine.pollDecision(), most)].map(taggedToVector);
    const events = [...all(() => engine.pollEvent(), most)].map(taggedToVector);
    if (decisions.length > 0) said.decisions = decisions;
    if (events.length > 0) said.events = events;
    said.wakeup = engine.nextWakeup();
    transcript += `${canonical(said)}\n`;
  }
  return transcript;
}

/** The SHA-256 of each trace's transcript, as lines like those of `traces/HASHES`. */
export async function hashes(sluicegate, traces) {
  const lines = [];
  for (const trace of traces) {
    const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(replay(sluicegate, trace)));
    const hex = [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    lines.push(`${hex}  ${trace.name}`);
  }
  return lines;
}
