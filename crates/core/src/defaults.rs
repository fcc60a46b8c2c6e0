//! Every number the engine starts from, by name.

use core::time::Duration;

/// The version of the policy's form.
pub const POLICY_VERSION: u64 = 1;
/// The version of a snapshot's form.
pub const SNAPSHOT_VERSION: u64 = 1;
/// The largest call, in tokens: as much as the largest quota of a minute that a policy may declare. What is larger is
/// refused as too large.
pub const MOST_TOKENS: u64 = 1_000_000_000;
/// The most that an attempt is taken to have spent, in tokens: the largest call at a hundred times its size.
pub const MOST_SPENT: u64 = 100 * MOST_TOKENS;
/// Attempts a call gets: AWS's user guide, "Scaling and throughput best practices" for Amazon Bedrock, names six.
pub const MAX_ATTEMPTS: u64 = 6;
/// First delay after a capacity error, in milliseconds; the same page starts at about a second.
pub const OVERLOADED_BASE_MS: u64 = 1_000;
/// Longest delay after a capacity error, in milliseconds: the AWS SDKs' own cap.
pub const OVERLOADED_CAP_MS: u64 = 20_000;
/// First delay while a model is loaded, in milliseconds.
pub const NOT_READY_BASE_MS: u64 = 500;
/// Longest delay while a model is loaded, in milliseconds.
pub const NOT_READY_CAP_MS: u64 = 5_000;
/// First delay after any other failure, in milliseconds.
pub const OTHER_BASE_MS: u64 = 500;
/// Longest delay after any other failure, in milliseconds.
pub const OTHER_CAP_MS: u64 = 20_000;
/// Retries allowed per thousand calls over the long run, beyond the steady inflow: Finagle's 20 per cent.
pub const BUDGET_RATIO_PERMILLE: u64 = 200;
/// Retries a second that are allowed whatever the calls do: Finagle's ten.
pub const BUDGET_PER_SECOND: u64 = 10;
/// Retries that can be saved up.
pub const BUDGET_CAPACITY: u64 = 100;
/// Calls that may wait at once.
pub const QUEUE_CAPACITY: u64 = 10_000;
/// Waiting that one level of priority is worth, in milliseconds.
pub const PRIORITY_STEP_MS: u64 = 10_000;
/// How long an attempt may be out, in milliseconds: longer than the longest generation seen.
pub const LEASE_MS: u64 = 900_000;
/// How long a pool stays closed after a refusal that names the day, unless its own count says longer. The service does
/// not say when its day turns, so the pool asks again with one call at a time.
pub const DAY_PROBE: Duration = Duration::from_secs(60 * 60);
/// The shortest and the longest pause after a refusal by a minute quota.
pub const REFUSAL_PAUSE: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));
/// What is left of a limit after a refusal, in thousandths.
pub const REFUSAL_KEEPS_PERMILLE: u64 = 930;
/// How much of the declared limit a lowered one regains per second, in thousandths.
pub const RECOVERY_PERMILLE_PER_SECOND: u64 = 5;
/// A learned limit never falls below this share of the declared one, in thousandths.
pub const TRUST_FLOOR_PERMILLE: u64 = 20;
/// What is left of what an endpoint carried when a second capacity error follows within [`CAPACITY_HOLD`], in thousandths.
pub const CAPACITY_KEEPS_PERMILLE: u64 = 800;
/// A capacity error so soon after the last cut shows that the capacity is still falling.
pub const CAPACITY_HOLD: Duration = Duration::from_secs(1);
/// How long the limit stays at what was carried before it is tried upwards again: at first, and where that was refused
/// at about the same level.
pub const CAPACITY_PLATEAU: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(2));
/// How often it then grows by one attempt; after that by half. An attempt that is one too many is refused at once, so two
/// steps without a refusal show that there is room again.
pub const CAPACITY_CAREFUL_STEPS: u64 = 2;
/// The time between two steps of growth.
pub const CAPACITY_STEP: Duration = Duration::from_millis(250);
/// The share of attempts, in thousandths, from which capacity errors are many, and up to which they may come by chance.
pub const CAPACITY_CHANCE_PERMILLE: (u32, u32) = (150, 600);
/// The share, as its inverse, that each attempt has in that.
pub const CAPACITY_LATELY: u32 = 16;
/// Attempts after which it is seen that lower limits bring no fewer errors.
pub const CAPACITY_CHANCE_ATTEMPTS: u32 = 40;
/// For how long errors are then taken for chance: at first, and at most where it shows again soon after.
pub const CAPACITY_CHANCE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(600));
/// How long an endpoint that cannot serve its model is left out.
pub const UNUSABLE_FOR: Duration = Duration::from_secs(300);
/// How many events are kept for a caller that does not take them out; the oldest go first.
pub const EVENTS_KEPT: usize = 4_096;
/// What is remembered of the last decisions, so that they can be explained: for each call one entry when it is sent, one
/// when that is reported, one when it ends.
pub const DECISIONS_KEPT: usize = 512;
/// When a minute of the service begins is made use of where it is known to within this time.
pub const PHASE_WITHIN: Duration = Duration::from_secs(6);
/// How much earlier or later than known a minute of the service may begin: what its clock and the way to it may shift.
pub const PHASE_GUARD: Duration = Duration::from_millis(100);
/// What a refusal adds to the strain on a declared limit; each answer takes one away.
pub const REFUSAL_STRAIN: u32 = 100;
/// The strain at which a declared limit is lowered: two refusals within some fifty answers.
pub const STRAIN_LIMIT: u32 = 150;
/// The share of attempts, in thousandths, that end within the time allowed for them.
pub const SERVICE_TIME_PERMILLE: u32 = 990;
/// The share of a call's time, in thousandths, that a few slow answers may take of what is left for waiting.
pub const SERVICE_TIME_SHARE_PERMILLE: u64 = 750;
/// The share of attempts, in thousandths, that must end within the time allowed for them even so.
pub const SERVICE_TIME_LEAST_PERMILLE: u32 = 900;
/// The same for a call that hardly leaves time for so many wherever and whenever it is sent: one in four, so that the work
/// of three is lost at most.
pub const SERVICE_TIME_CHANCE_PERMILLE: u32 = 250;
/// The part, as its inverse, of its time in which such a call may wait.
pub const CHANCE_WAITS: u64 = 8;
/// Service times remembered for each endpoint; then all counts are halved.
pub const SERVICE_TIME_MEMORY: u32 = 1_024;
/// The caps on answers, in tokens, up to which service times are told apart.
pub const SERVICE_TIME_SIZES: [u32; 3] = [256, 1_024, 4_096];
/// Answers of one such class from which it counts for itself.
pub const SERVICE_TIME_CLASS_AT_LEAST: u32 = 20;
/// Calls that take too long on an endpoint are passed over at most so often to find one that does not.
pub const PASSING_LOOKED_AT: usize = 4;
/// How much faster than its quota a pool may send while it makes up for a quiet time.
pub const PEAK_FACTOR: u64 = 2;
/// What may go out at the very same moment, in thousandths of a minute's quota; one attempt in any case.
pub const PEAK_PERMILLE: u64 = 20;
/// Refusals by quota after which a call without a deadline ends; one with a deadline waits on.
pub const THROTTLED_ATTEMPTS: u32 = 20;
/// How long a call waits for an endpoint of an earlier group, in milliseconds.
pub const GROUP_WAIT_MS: u64 = 0;
/// How long a call waits for its own model before a fallback may serve it, in milliseconds.
pub const FALLBACK_AFTER_MS: u64 = 1_000;
/// What reading a prompt from its cache is worth in waiting, besides the tokens it saves, in milliseconds.
pub const AFFINITY_WAIT_MS: u64 = 500;
/// How long a prompt cache lives after its last use, in milliseconds: Amazon Bedrock's default of five minutes.
pub const AFFINITY_TTL_MS: u64 = 300_000;
/// Affinity keys whose endpoint is remembered; the one that was used longest ago goes first.
pub const AFFINITY_KEYS: usize = 10_000;
/// Calls whose failure is remembered, to notice that they come again.
pub const FAILURES_KEPT: usize = 1_024;
/// A call that comes again within this time after it failed is somebody else's retry.
pub const STACKED_WITHIN: Duration = Duration::from_secs(60);
/// Hedges allowed per thousand calls.
pub const HEDGE_SHARE_PERMILLE: u64 = 50;
/// A pool of which more than this is used, in thousandths, is too tight for a hedge.
pub const HEDGE_POOL_USE_PERMILLE: u64 = 800;
/// Answers of an endpoint that must have been timed before its slow ones are hedged.
pub const HEDGE_MINIMUM_ANSWERS: u32 = 50;
/// Hedges that can be saved up.
pub const HEDGES_SAVED: u64 = 10;
/// The share of answers, in thousandths, that an advised cap on their length holds.
pub const CAP_HOLDS_PERMILLE: u64 = 999;
/// Answers that must have been seen before a cap is advised.
pub const CAP_MINIMUM_ANSWERS: u64 = 1_000;
/// Kinds of calls, by model and label, whose lengths of answers are kept apart; the rest share those of label 0.
pub const LABELS_KEPT: usize = 256;
/// The largest share of a model's endpoints that breakers may keep shut at once, in per cent.
pub const SHUT_AT_MOST_PERCENT: u64 = 100;
/// How long a pool must go without a refusal for its credit to double: at first, and at most after refusals.
pub const CREDIT_STRETCH: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(3_600));
/// How long a lowered limit is left as it is before it is tried upwards: at first, and at most after further refusals.
pub const LIMIT_REST: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(40));
/// Answers shorter than this, in tokens, say nothing about the time per token: the first one takes most of it.
pub const SPEED_TOKENS_AT_LEAST: u32 = 128;
/// Answers from which the usual time per token is learned before anything is compared with it.
pub const SPEED_LEARNS: u32 = 16;
/// The share, as its inverse, that each answer has in the time per token of late.
pub const SPEED_LATELY: u64 = 8;
/// The share, as its inverse, by which the usual time per token moves towards that of late: where that is shorter, and
/// where it is longer.
pub const SPEED_USUALLY: (u64, u64) = (64, 256);
/// How often it moves at most: with its share, an endpoint that becomes half as fast is taken as usual after about two
/// minutes.
pub const SPEED_USUALLY_STEP: Duration = Duration::from_secs(1);
/// Up to this time per token, in thousandths of the usual one, answers come as usual.
pub const SPEED_STEADY_PERMILLE: u64 = 1_100;
/// From this time per token on, in thousandths of the usual one, an endpoint is strained and its limit does not grow.
pub const SPEED_STRAINED_PERMILLE: u64 = 1_500;
/// How long one slow answer holds growth back, if no other follows.
pub const STRAIN_HOLDS: Duration = Duration::from_secs(10);
