//! Reading numbers of a plan, and collecting what is wrong with them.

use toml::Spanned;

use super::plan::Fault;

/// Seconds of anything in a plan at most: thirty days.
pub(crate) const MOST_SECONDS: f64 = 2_592_000.0;
/// Multiples and shares in a plan at most.
pub(crate) const MOST_TIMES: f64 = 1_000.0;

/// Everything wrong with a plan, in the order in which it was found.
#[derive(Debug, Default)]
pub(crate) struct Faults(pub(crate) Vec<Fault>);

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    /// A number in units of which a plan's are `per` each; the least one and a fault if it is out of range.
    pub(crate) fn scaled(&mut self, value: f64, place: Option<usize>, what: &str, per: f64, range: (f64, f64)) -> u64 {
        if value >= range.0 && value <= range.1 {
            return scale(value, per);
        }
        self.add(Fault { at: place, what: format!("{what} must be from {} to {}, not {value}", range.0, range.1) });
        scale(range.0, per)
    }

    /// Seconds, in microseconds.
    pub(crate) fn seconds(&mut self, value: &Spanned<f64>, what: &str) -> u64 {
        self.scaled(*value.get_ref(), Some(value.span().start), what, 1e6, (0.0, MOST_SECONDS))
    }

    /// A multiple or a share, in thousandths.
    pub(crate) fn permille(&mut self, value: f64, place: Option<usize>, what: &str) -> u64 {
        self.scaled(value, place, what, 1e3, (0.0, MOST_TIMES))
    }
}

/// In range, so the conversion is exact to half a unit, and the same on every machine.
pub(crate) fn scale(value: f64, per: f64) -> u64 {
    (value * per).round() as u64
}
