//! The parts of a policy that hold no names of others.

use alloc::format;
use core::time::Duration;

use super::{Hedge, OutputCap, Queue, Retry, Router, Section};
use crate::backoff::{Backoff, Curve};
use crate::breaker::{BreakerConfig, BreakerWindow};
use crate::budget::RetryBudgetConfig;
use crate::defaults::*;

pub(super) const MOST_MS: u64 = 7 * 24 * 60 * 60 * 1_000;

pub(super) fn retry(section: &mut Section<'_>) -> Retry {
    let max_attempts =
        section.integer("max_attempts", 1..=100, MAX_ATTEMPTS, "Attempts a call gets, the first included.");
    let overloaded = section.section("overloaded", "The delay after a capacity error.", |section| {
        backoff(section, OVERLOADED_BASE_MS, OVERLOADED_CAP_MS)
    });
    let not_ready = section.section("not_ready", "The delay while a model is being loaded.", |section| {
        backoff(section, NOT_READY_BASE_MS, NOT_READY_CAP_MS)
    });
    let other = section
        .section("other", "The delay after anything else.", |section| backoff(section, OTHER_BASE_MS, OTHER_CAP_MS));
    let budget = section.section("budget", "What bounds the retries of all calls together.", |section| {
        let preset = section.choice(
            "preset",
            &[("default", RetryBudgetConfig::DEFAULT), ("aws-standard", RetryBudgetConfig::AWS_STANDARD)],
            "default",
            "A known budget: \"aws-standard\" is what the AWS SDKs keep. The fields below belong to \"default\".",
        );
        let ratio = section.integer(
            "ratio_permille",
            0..=10_000,
            BUDGET_RATIO_PERMILLE,
            "Retries per thousand calls that succeed at once.",
        );
        let per_second = section.integer("per_second", 1..=100_000, BUDGET_PER_SECOND, "Retries allowed a second.");
        let capacity = section.integer("capacity", 1..=1_000_000, BUDGET_CAPACITY, "Retries that can be saved up.");
        match preset {
            Some(RetryBudgetConfig::AWS_STANDARD) => RetryBudgetConfig::AWS_STANDARD,
            _ => RetryBudgetConfig {
                capacity: capacity * 1_000,
                deposit: ratio,
                per_second: per_second * 1_000,
                ..RetryBudgetConfig::DEFAULT
            },
        }
    });
    Retry {
        max_attempts: u32::try_from(max_attempts).unwrap_or(u32::MAX),
        overloaded,
        not_ready,
        other,
        timed_out: section.boolean("timed_out", false, "Try again what the service gave up on; it was charged."),
        model_error: section.boolean("model_error", false, "Try again what the model failed on; it was charged."),
        budget,
    }
}

fn backoff(section: &mut Section<'_>, base_ms: u64, cap_ms: u64) -> Backoff {
    const CURVES: &[(&str, Curve)] = &[
        ("full", Curve::Full),
        ("equal", Curve::Equal),
        ("decorrelated", Curve::Decorrelated),
        ("exponential", Curve::Exponential),
        ("constant", Curve::Constant),
        ("additive", Curve::Additive),
    ];
    const PRESETS: &[(&str, Option<Backoff>)] = &[
        ("none", None),
        ("aws-standard", Some(Backoff::aws_standard_transient())),
        ("aws-standard-throttled", Some(Backoff::aws_standard_throttled())),
        ("aws-legacy", Some(Backoff::aws_legacy())),
        ("seed-article", Some(Backoff::seed_article())),
    ];
    let preset = section.choice("preset", PRESETS, "none", "A known curve, used instead of the fields below.");
    let curve = section.choice("curve", CURVES, "full", "The shape of the delay.");
    let base = section.integer("base_ms", 1..=MOST_MS, base_ms, "The first delay, in milliseconds.");
    let cap = section.integer("cap_ms", 1..=MOST_MS, cap_ms, "The longest delay, in milliseconds, jitter included.");
    if base > cap {
        let message = format!("base_ms ({base}) is above cap_ms ({cap})");
        section.fault("inconsistent", section.pointer_to("base_ms"), message);
    }
    preset.flatten().unwrap_or_else(|| {
        Backoff::new(curve.unwrap_or(Curve::Full), Duration::from_millis(base), Duration::from_millis(cap))
    })
}

pub(super) fn router(section: &mut Section<'_>) -> Router {
    Router {
        group_wait: milliseconds(
            section,
            "group_wait_ms",
            0,
            MOST_MS,
            Duration::from_millis(GROUP_WAIT_MS),
            "How long a call waits for an endpoint of an earlier group before a later one may serve it.",
        ),
        affinity_wait: milliseconds(
            section,
            "affinity_wait_ms",
            0,
            MOST_MS,
            Duration::from_millis(AFFINITY_WAIT_MS),
            "What a prompt cache is worth in waiting, besides the time that refills the tokens it saves.",
        ),
        affinity_ttl: milliseconds(
            section,
            "affinity_ttl_ms",
            0,
            MOST_MS,
            Duration::from_millis(AFFINITY_TTL_MS),
            "How long a prompt cache lives after its last use.",
        ),
    }
}

pub(super) fn hedge(section: &mut Section<'_>) -> Option<Hedge> {
    let after = section.optional_integer(
        "after_permille",
        500..=999,
        "Hedge what takes longer than this quantile of the endpoint's service times, in thousandths. Never, if absent.",
    );
    let share =
        section.integer("share_permille", 1..=1_000, HEDGE_SHARE_PERMILLE, "Hedges allowed per thousand calls.");
    let pool_use = section.integer(
        "pool_use_at_most_permille",
        0..=1_000,
        HEDGE_POOL_USE_PERMILLE,
        "A pool of which more than this is used, in thousandths, serves no hedge.",
    );
    after.map(|after| Hedge {
        after_permille: small(after),
        share_permille: share,
        pool_use_at_most_permille: pool_use,
    })
}

pub(super) fn output_cap(section: &mut Section<'_>) -> OutputCap {
    OutputCap {
        clamp: section.boolean(
            "clamp",
            false,
            "Lower a call's cap on its answer to what answers need; one that is cut short is sent again with its own.",
        ),
        holds_permille: small(section.integer(
            "holds_permille",
            900..=999,
            CAP_HOLDS_PERMILLE,
            "The share of answers that an advised cap holds, in thousandths.",
        )),
        minimum_answers: small(section.integer(
            "minimum_answers",
            100..=1_000_000,
            CAP_MINIMUM_ANSWERS,
            "Answers that must have been seen before a cap is advised.",
        )),
    }
}

/// With 100, all may be shut: whatever the endpoints do, none is stormed.
pub(super) fn shut(section: &mut Section<'_>) -> u8 {
    let percent = section.integer(
        "shut_at_most_percent",
        0..=100,
        SHUT_AT_MOST_PERCENT,
        "The largest share of a model's endpoints that may be shut at once.",
    );
    u8::try_from(percent).unwrap_or(100)
}

pub(super) fn breaker(section: &mut Section<'_>) -> BreakerConfig {
    let default = BreakerConfig::DEFAULT;
    let failure_rate = section.integer(
        "failure_rate_percent",
        1..=100,
        u64::from(default.failure_rate_percent),
        "Opens when at least this share of the attempts failed.",
    );
    let slow_rate = section.integer(
        "slow_rate_percent",
        1..=100,
        u64::from(default.slow_rate_percent),
        "Opens when at least this share of the attempts was slow.",
    );
    let slow_after = section.optional_integer(
        "slow_after_ms",
        1..=MOST_MS,
        "What counts as slow, in milliseconds. Nothing, if absent.",
    );
    let attempts = section.optional_integer("window_attempts", 1..=100_000, "Measure over the last so many attempts.");
    let seconds = section.optional_integer("window_seconds", 1..=3_600, "Measure over the last so many seconds.");
    if attempts.is_some() && seconds.is_some() {
        let place = section.pointer_to("window_seconds");
        section.fault("inconsistent", place, "window_attempts and window_seconds exclude each other; keep one");
    }
    let window = match (attempts, seconds) {
        (Some(attempts), _) => BreakerWindow::Attempts(small(attempts)),
        (None, Some(seconds)) => BreakerWindow::Seconds(small(seconds)),
        (None, None) => default.window,
    };
    let minimum = section.integer(
        "minimum_attempts",
        1..=100_000,
        u64::from(default.minimum_attempts),
        "Fewer attempts than this decide nothing.",
    );
    let open_for = milliseconds(section, "open_ms", 1, MOST_MS, default.open_for, "How long it stays open at first.");
    let open_at_most =
        milliseconds(section, "open_at_most_ms", 1, MOST_MS, default.open_at_most, "The longest it stays open.");
    let probes = section.integer("probes", 1..=1_000, u64::from(default.probes), "Probes that must be good to close.");
    let jitter = section.integer(
        "open_jitter_permille",
        0..=1_000,
        u64::from(default.open_jitter_permille),
        "How much longer it may stay open at random, in thousandths.",
    );
    BreakerConfig {
        mode: default.mode,
        failure_rate_percent: small(failure_rate),
        slow_rate_percent: small(slow_rate),
        slow_after: slow_after.map(Duration::from_millis),
        window,
        minimum_attempts: small(minimum),
        open_for,
        open_at_most,
        open_jitter_permille: small(jitter),
        probes: small(probes),
    }
}

pub(super) fn queue(section: &mut Section<'_>) -> Queue {
    let capacity = section.integer(
        "capacity",
        1..=10_000_000,
        QUEUE_CAPACITY,
        "Calls that may wait at once. When one more comes, the newest call of the tenant that holds the most of them for its \
        weight is refused, unless the newcomer's tenant would hold as much with it; then the newcomer is.",
    );
    let deadline = section.optional_integer(
        "deadline_ms",
        1..=MOST_MS,
        "The deadline of a call that brings none, in milliseconds from its submission.",
    );
    let lease = milliseconds(
        section,
        "lease_ms",
        1_000,
        MOST_MS,
        Duration::from_millis(LEASE_MS),
        "How long an attempt may be out before its permit is taken back.",
    );
    let target_wait = section.optional_integer(
        "target_wait_ms",
        1..=MOST_MS,
        "Refuse at once what would have to wait longer, in milliseconds, so that overload is shed early.",
    );
    let priority_step = milliseconds(
        section,
        "priority_step_ms",
        0,
        3_600_000,
        Duration::from_millis(PRIORITY_STEP_MS),
        "How much waiting one level of priority is worth, so that low priorities are served in the end.",
    );
    Queue {
        capacity: usize::try_from(capacity).unwrap_or(usize::MAX),
        deadline: deadline.map(Duration::from_millis),
        lease,
        target_wait: target_wait.map(Duration::from_millis),
        priority_step,
    }
}

pub(super) fn milliseconds(
    section: &mut Section<'_>,
    key: &'static str,
    least: u64,
    most: u64,
    default: Duration,
    doc: &str,
) -> Duration {
    let default = u64::try_from(default.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(section.integer(key, least..=most, default, doc))
}

pub(super) fn small(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
