//! What `compare` is told.

use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};
use sluicegate_sim::{Law, WHOLE_PERMILLE};

use super::clients::Kind;

/// Size of the bucket under `--law continuous`, in thousandths of a minute's quota: one second's worth. A bucket of a
/// whole minute would still be handing out its first fill when measuring begins.
const BURST_PERMILLE: u32 = 17;
/// When the minute turns under `--law fixed`. It is none of the phases' borders, and no client is told.
const TURN_US: u64 = 23_000_000;
/// The longest phase: an hour.
const MOST_SECONDS: u64 = 3_600;

/// What `compare --help` says.
pub(crate) const ABOUT: &str = "\
Send the same calls through four clients side by side, and show what became of them.

Each client talks to a fake Bedrock of its own inside this process, over real sockets and through the real AWS SDK. All \
of them get the same calls at the same moments. All figures come from the books of the fakes, none from the clients.

  article       the loop of many articles: SDK retries off, 5 attempts, sleep min(2^n + U(0,1), 30)
  sdk-standard  the AWS SDK with its standard retries
  sdk-adaptive  the AWS SDK in adaptive mode
  sluicegate    sluicegate with a policy that declares the quotas

With --peer, others join, each in a process of its own: boto3-standard, boto3-adaptive, litellm, and sluicegate-python, which \
is sluicegate's Python package around boto3. `cargo xtask peers` makes what they need.

The timeline: a warm-up under load, which is not measured; then quotas bind; then a brownout, in which most of the \
capacity is gone; then recovery; then some more load, so that the end is not an idle one. A table is \
shown here, plots are in the report.";

/// What it says after the options.
pub(crate) const AFTER: &str = "\
Examples:
  sluicegate compare --local                            the default scenario, about three minutes
  sluicegate compare --local --law fixed --load 3       a quota that returns all at once, three times too many calls
  sluicegate compare --local -o r.html --json r.json    the report elsewhere, and the figures as JSON

Ends with 10 if sluicegate missed what it promises: at least 0.95 of what an oracle answers in time, at most 1 % of the \
attempts refused while quotas bind, and more answered in time than each client of others. sluicegate-python is held to the \
first two.";

/// What `compare` is told.
#[derive(Clone, Debug, Args)]
pub(crate) struct CompareArgs {
    /// Use fakes inside this process. Required: the comparison is made of their books
    #[arg(long, required = true)]
    pub(crate) local: bool,

    /// Makes arrivals, sizes and jitter; the same seed, the same calls
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,

    /// How the quotas refill; AWS does not say, so try all
    #[arg(long, value_enum, default_value_t = LawName::Continuous)]
    pub(crate) law: LawName,

    /// Offered load as a multiple of the request quota: 1.5, or 1500 in thousandths
    #[arg(long, value_name = "FACTOR", default_value = "1.5", value_parser = load)]
    pub(crate) load: u32,

    /// Requests a minute in each of the three Regions
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=6_000))]
    pub(crate) requests_per_minute: u64,

    /// Attempts that a Region works on at once
    #[arg(long, value_name = "N", default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..=200))]
    pub(crate) slots: u32,

    /// Seconds in which a call must be answered
    #[arg(long, value_name = "S", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) deadline: u64,

    /// Seconds of load before measuring begins
    #[arg(long, value_name = "S", default_value_t = 60, value_parser = clap::value_parser!(u64).range(0..=MOST_SECONDS))]
    pub(crate) warm_up: u64,

    /// Seconds measured before the brownout, in which the quotas bind
    #[arg(long, value_name = "S", default_value_t = 90, value_parser = clap::value_parser!(u64).range(1..=MOST_SECONDS))]
    pub(crate) seconds: u64,

    /// Seconds with a fifth of the capacity
    #[arg(long, value_name = "S", default_value_t = 20, value_parser = clap::value_parser!(u64).range(0..=MOST_SECONDS))]
    pub(crate) brownout: u64,

    /// Seconds measured after the brownout
    #[arg(long, value_name = "S", default_value_t = 20, value_parser = clap::value_parser!(u64).range(0..=MOST_SECONDS))]
    pub(crate) recovery: u64,

    /// Seconds of load after measuring; as long as the deadline, if absent
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(0..=MOST_SECONDS))]
    pub(crate) run_out: Option<u64>,

    /// Where the report goes: one HTML file that needs nothing else
    #[arg(short, long, value_name = "FILE.html", default_value = "compare.html", value_hint = ValueHint::FilePath)]
    pub(crate) output: PathBuf,

    /// Add a real client of another language, as a process beside this one; may be repeated
    #[arg(long, value_name = "NAME", value_enum)]
    pub(crate) peer: Vec<PeerName>,

    /// The Python that runs them, with what `tests/peers/requirements.txt` names, and our package for sluicegate-python
    #[arg(long, value_name = "FILE", default_value = "target/peers/bin/python", value_hint = ValueHint::FilePath)]
    pub(crate) peer_python: PathBuf,

    /// The program that it runs
    #[arg(long, value_name = "FILE", default_value = "tests/peers/client.py", value_hint = ValueHint::FilePath)]
    pub(crate) peer_client: PathBuf,

    /// Play each client's simulated twin too, and show how far apart they are
    #[arg(long)]
    pub(crate) twins: bool,

    /// Write the figures as JSON too
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) json: Option<PathBuf>,
}

impl CompareArgs {
    /// The clients of other languages, each once.
    pub(crate) fn peers(&self) -> impl Iterator<Item = Kind> {
        PeerName::value_variants().iter().filter(|name| self.peer.contains(name)).map(|name| name.kind())
    }
}

/// A client of another language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PeerName {
    /// boto3 in standard mode
    #[value(name = "boto3-standard")]
    Boto3Standard,
    /// boto3 in adaptive mode
    #[value(name = "boto3-adaptive")]
    Boto3Adaptive,
    /// `LiteLLM`'s Router with its defaults
    Litellm,
    /// sluicegate's Python package around boto3
    SluicegatePython,
}

impl PeerName {
    const fn kind(self) -> Kind {
        match self {
            Self::Boto3Standard => Kind::Boto3Standard,
            Self::Boto3Adaptive => Kind::Boto3Adaptive,
            Self::Litellm => Kind::LiteLlm,
            Self::SluicegatePython => Kind::SluicegatePython,
        }
    }
}

/// How the quotas refill, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LawName {
    /// Each request comes back 60 s after it was taken: what AWS's blog of February 2026 advises clients to assume
    Sliding,
    /// Evenly, into a bucket of one second's worth
    Continuous,
    /// All at once when the minute turns
    Fixed,
}

impl LawName {
    /// The simulator's law.
    pub(crate) const fn law(self) -> Law {
        match self {
            Self::Sliding => Law::Sliding,
            Self::Continuous => Law::Continuous { burst_permille: BURST_PERMILLE, start_permille: WHOLE_PERMILLE },
            Self::Fixed => Law::Fixed { phase_us: TURN_US },
        }
    }

    /// The law in words.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Sliding => "sliding: each request comes back 60 s after it was taken",
            Self::Continuous => "continuous: evenly, into a bucket of one second's worth",
            Self::Fixed => "fixed: all at once when the minute turns, at second 23",
        }
    }
}

/// Reads a load: thousandths if it is a whole number of at least 100, else a factor.
fn load(text: &str) -> Result<u32, String> {
    let wrong = || "a factor such as 1.5 or thousandths such as 1500, from 0.1 to 10".to_owned();
    let permille = match text.parse::<u32>() {
        Ok(permille) if permille >= 100 => f64::from(permille),
        _ => (text.parse::<f64>().map_err(|_| wrong())? * 1_000.0).round(),
    };
    // In range, so the conversion is exact.
    if (100.0..=10_000.0).contains(&permille) { Ok(permille as u32) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::load;

    #[test]
    fn loads_are_factors_or_thousandths() {
        let loads = ["1.5", "1500", "3", "0.1", "10", "100"].map(|text| load(text).unwrap());
        assert_eq!(loads, [1_500, 1_500, 3_000, 100, 10_000, 100]);
        for text in ["", "x", "NaN", "-1", "0", "11", "10001", "1e9"] {
            assert!(load(text).is_err(), "{text}");
        }
    }
}
