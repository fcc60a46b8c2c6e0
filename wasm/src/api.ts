export { sluicegate, withOptions, type Plugin } from "./aws.js";
export {
  Appraiser,
  classify,
  estimate,
  Plan,
  StreamReader,
  type Failure,
  type HeaderList,
  type Operation,
  type PlanOptions,
  type RequestShape,
  type Verdict,
} from "./bedrock.js";
export { Engine, Random } from "./engine.js";
export {
  ArgumentError,
  EndedError,
  InputError,
  PolicyError,
  SluicegateError,
  SnapshotError,
  type ArgumentCode,
  type Fault,
} from "./errors.js";
export { fetchThrough, type Fetch, type FetchOptions, type Unsigned } from "./fetch.js";
export { Gate, type CallOptions, type GateOptions, type Request } from "./gate.js";
export {
  Backoff,
  Breaker,
  Limiter,
  Permit,
  RetryBudget,
  type Admission,
  type BreakerConfig,
  type BreakerVerdict,
  type Curve,
  type Limits,
  type RetryBudgetConfig,
} from "./pieces.js";
export { Policy, policySchema, type Endpoint, type PolicyLike } from "./policy.js";
export type { Attempt } from "./run.js";
export type * from "./types.js";
