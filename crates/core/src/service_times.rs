//! How long an endpoint takes to serve, by how long an answer may be.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

use crate::defaults::{SERVICE_TIME_CLASS_AT_LEAST, SERVICE_TIME_SHARE_PERMILLE, SERVICE_TIME_SIZES};
use crate::kept::record;
use crate::service_time::{SavedServiceTime, ServiceTime};
use crate::time::micros;

/// One for each of [`SERVICE_TIME_SIZES`], one for what is larger, one for what is unknown.
const CLASSES: usize = SERVICE_TIME_SIZES.len() + 2;
const UNKNOWN: usize = CLASSES - 1;

/// The service times of one endpoint, told apart by the cap on the answer's length, since a long answer takes longer than
/// a short one.
///
/// A class of lengths counts for itself once it has [`SERVICE_TIME_CLASS_AT_LEAST`] answers; before, all answers count. It
/// is forgotten when half of what is remembered of all was renewed without it: who refuses calls by what it says would
/// never learn better.
///
/// It costs nothing where no caller names its caps, and some 400 bytes for each class that is used.
///
/// ```
/// use core::time::Duration;
/// use sluicegate::ServiceTimes;
///
/// let mut times = ServiceTimes::new();
/// for _ in 0..100 {
///     times.observe(Duration::from_secs(1), Some(200));
///     times.observe(Duration::from_secs(30), Some(4_000));
/// }
/// assert!(times.allowance(Some(100)) < Duration::from_secs(2));
/// assert!(times.allowance(Some(3_000)) >= Duration::from_secs(30));
/// assert!(times.allowance(None) >= Duration::from_secs(30));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceTimes {
    all: ServiceTime,
    classes: [Option<Box<ServiceTime>>; CLASSES],
    /// Which classes had an answer since half of what is remembered was last forgotten.
    heard: [bool; CLASSES],
    /// Of each class, so that nothing has to be looked up with each call.
    bounds: [Bounds; CLASSES],
}

/// Within how many microseconds nearly every attempt ends, and most do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bounds {
    usual: u64,
    pub(crate) least: u64,
}

impl Bounds {
    const NONE: Self = Self { usual: 0, least: 0 };

    const fn of(times: &ServiceTime) -> Self {
        Self { usual: times.allowance_us(), least: times.least_allowance_us() }
    }

    /// What must be allowed for in a call of which a few slow answers may take so much.
    pub(crate) fn within(self, share: u64) -> u64 {
        if self.usual <= share { self.usual } else { self.least.max(share).min(self.usual) }
    }
}

/// What [`ServiceTimes`] remember beyond the life of their process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct SavedServiceTimes {
    /// Of all answers.
    pub all: SavedServiceTime,
    /// Of the answers of each class that was used, with the class's number.
    pub classes: Vec<(u32, SavedServiceTime)>,
}

record!(SavedServiceTimes, closed: false, always: [all], sparse: [classes]);

/// Which class an answer belongs to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LengthClass(usize);

impl LengthClass {
    /// By its cap.
    pub(crate) fn of(max_tokens: Option<u32>) -> Self {
        Self(class(max_tokens))
    }
}

fn class(max_tokens: Option<u32>) -> usize {
    let Some(max_tokens) = max_tokens else { return UNKNOWN };
    SERVICE_TIME_SIZES.iter().position(|size| max_tokens <= *size).unwrap_or(SERVICE_TIME_SIZES.len())
}

/// What a few slow answers may take of the time that a call has in all, in microseconds.
pub(crate) const fn share_of(within: u64) -> u64 {
    within.saturating_mul(SERVICE_TIME_SHARE_PERMILLE) / 1_000
}

impl ServiceTimes {
    /// Nothing seen yet: no time is allowed for.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            all: ServiceTime::new(),
            classes: [const { None }; CLASSES],
            heard: [false; CLASSES],
            bounds: [Bounds::NONE; CLASSES],
        }
    }

    /// One attempt, whose answer was allowed `max_tokens` tokens, was served in `took`. Returns whether an allowance may have
    /// moved.
    pub fn observe(&mut self, took: Duration, max_tokens: Option<u32>) -> bool {
        let before = self.all.seen();
        let mut moved = self.all.observe(took);
        if self.all.seen() <= before {
            for (times, heard) in self.classes.iter_mut().zip(&mut self.heard) {
                if !core::mem::take(heard) {
                    moved |= times.take().is_some();
                }
            }
        }
        // Where no caller names a cap, what is unknown is all there is.
        if max_tokens.is_some() || self.classes.iter().any(Option::is_some) {
            let class = class(max_tokens);
            let times = self.classes[class].get_or_insert_default();
            let counted = times.seen() >= SERVICE_TIME_CLASS_AT_LEAST;
            moved |= times.observe(took) || counted != (times.seen() >= SERVICE_TIME_CLASS_AT_LEAST);
            self.heard[class] = true;
        }
        if moved {
            self.bind();
        }
        moved
    }

    fn bind(&mut self) {
        for class in 0..CLASSES {
            self.bounds[class] = Bounds::of(self.of(LengthClass(class)));
        }
    }

    /// What must be allowed for so that nearly every attempt for an answer of at most `max_tokens` ends within it.
    #[must_use]
    pub fn allowance(&self, max_tokens: Option<u32>) -> Duration {
        self.times(max_tokens).allowance()
    }

    /// What must be allowed for in a call for such an answer that has `within` from its submission to its deadline.
    ///
    /// Where nearly every attempt takes more than [`SERVICE_TIME_SHARE_PERMILLE`] of that, a few slow answers would leave
    /// calls no time to wait for their turn, and at last none to be answered in. So no more than this share is allowed
    /// for then, as long as [`SERVICE_TIME_LEAST_PERMILLE`](crate::defaults::SERVICE_TIME_LEAST_PERMILLE) of the attempts end within it.
    ///
    /// ```
    /// use core::time::Duration;
    /// use sluicegate::ServiceTimes;
    ///
    /// let mut times = ServiceTimes::new();
    /// for answer in 0..100 {
    ///     times.observe(Duration::from_secs(if answer % 20 == 0 { 19 } else { 4 }), None);
    /// }
    /// let allowance = |seconds| times.allowance_within(Duration::from_secs(seconds), None);
    /// assert!(allowance(60) >= Duration::from_secs(19));
    /// assert_eq!(allowance(20), Duration::from_secs(15), "one in twenty will be late");
    /// assert!((4_000..4_600).contains(&allowance(5).as_millis()));
    /// ```
    #[must_use]
    pub fn allowance_within(&self, within: Duration, max_tokens: Option<u32>) -> Duration {
        Duration::from_micros(self.bounds(LengthClass::of(max_tokens)).within(share_of(micros(within))))
    }

    /// A bound that at least `permille` thousandths of the recent service times of such answers do not exceed, at most an
    /// eighth above the least such bound; zero before the first.
    #[must_use]
    pub fn quantile(&self, permille: u32, max_tokens: Option<u32>) -> Duration {
        self.times(max_tokens).quantile(permille)
    }

    /// The distribution that speaks for answers of at most `max_tokens`.
    #[must_use]
    pub fn times(&self, max_tokens: Option<u32>) -> &ServiceTime {
        self.of(LengthClass::of(max_tokens))
    }

    /// The same of a class.
    pub(crate) fn of(&self, LengthClass(class): LengthClass) -> &ServiceTime {
        match &self.classes[class] {
            Some(times) if times.seen() >= SERVICE_TIME_CLASS_AT_LEAST => times,
            _ => &self.all,
        }
    }

    /// What is allowed for in a class.
    pub(crate) const fn bounds(&self, LengthClass(class): LengthClass) -> Bounds {
        self.bounds[class]
    }

    /// What must be allowed for in a call that has `within`, by the distributions in use, each once.
    pub fn allowances(&self, within: Duration) -> impl Iterator<Item = Duration> {
        let used = self.classes.iter().flatten().filter(|times| times.seen() >= SERVICE_TIME_CLASS_AT_LEAST);
        core::iter::once(&self.all)
            .chain(used.map(|times| &**times))
            .map(move |times| Duration::from_micros(Bounds::of(times).within(share_of(micros(within)))))
    }

    /// What is worth remembering.
    #[must_use]
    pub fn save(&self) -> SavedServiceTimes {
        let classes = (0..).zip(&self.classes).filter_map(|(class, times)| Some((class, times.as_ref()?.save())));
        SavedServiceTimes { all: self.all.save(), classes: classes.collect() }
    }

    /// Goes on from what was saved. No state is invalid: classes that do not exist are left out, and of one that is there
    /// twice the later is taken.
    #[must_use]
    pub fn restored(state: &SavedServiceTimes) -> Self {
        let mut times = Self { all: ServiceTime::restored(&state.all), ..Self::new() };
        for (class, state) in &state.classes {
            if let Some(slot) = usize::try_from(*class).ok().and_then(|class| times.classes.get_mut(class)) {
                *slot = Some(Box::new(ServiceTime::restored(state)));
            }
        }
        times.heard = [true; CLASSES];
        times.bind();
        times
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_cap_belongs_to_the_class_that_just_holds_it() {
        assert_eq!(SERVICE_TIME_SIZES, [256, 1_024, 4_096]);
        for (max_tokens, expected) in
            [(0, 0), (256, 0), (257, 1), (1_024, 1), (1_025, 2), (4_096, 2), (4_097, 3), (u32::MAX, 3)]
        {
            assert_eq!(class(Some(max_tokens)), expected, "{max_tokens}");
        }
        assert_eq!(class(None), 4);
    }

    #[test]
    fn a_class_counts_for_itself_once_it_has_enough_answers() {
        let mut times = ServiceTimes::new();
        for _ in 0..100 {
            times.observe(30 * SECOND, Some(8_000));
        }
        for seen in 0..SERVICE_TIME_CLASS_AT_LEAST {
            assert!(times.allowance(Some(100)) >= 30 * SECOND, "after {seen}");
            times.observe(SECOND, Some(100));
        }
        assert!(times.allowance(Some(100)) < 2 * SECOND);
        assert!(times.quantile(500, Some(100)) < 2 * SECOND);
        assert!(times.allowance(Some(500)) >= 30 * SECOND, "of which nothing is known but that it is an answer");
    }

    #[test]
    fn what_is_unknown_is_all_there_is_until_a_cap_is_named() {
        let mut times = ServiceTimes::new();
        for _ in 0..100 {
            times.observe(30 * SECOND, None);
        }
        assert!(times.classes.iter().all(Option::is_none), "it costs nothing");
        for _ in 0..1_000 {
            times.observe(SECOND, Some(100));
            times.observe(30 * SECOND, None);
        }
        assert!(times.allowance(None) >= 30 * SECOND && times.allowance(Some(100)) < 2 * SECOND);
    }

    #[test]
    fn a_class_that_is_never_heard_of_again_is_forgotten() {
        let mut times = ServiceTimes::new();
        for _ in 0..1_000 {
            times.observe(60 * SECOND, Some(8_000));
        }
        let forgotten = (0..4_000).find(|_| {
            times.observe(SECOND, Some(100));
            times.times(Some(8_000)) == &times.all
        });
        assert!(forgotten.is_some_and(|answers| (512..2_048).contains(&answers)), "after {forgotten:?} answers");
        // One in a hundred is enough to be remembered.
        for answer in 0..10_000 {
            times.observe(
                if answer % 100 == 0 { 60 * SECOND } else { SECOND },
                Some(if answer % 100 == 0 { 8_000 } else { 100 }),
            );
        }
        assert!(times.allowance(Some(8_000)) >= 60 * SECOND && times.allowance(Some(100)) < 2 * SECOND);
    }

    #[test]
    fn classes_come_back_and_any_state_will_do() {
        let mut times = ServiceTimes::new();
        for index in 0..500 {
            times.observe(SECOND * index, Some(index * 13).filter(|_| index % 7 > 0));
        }
        assert_eq!(ServiceTimes::restored(&times.save()).save(), times.save());
        let class = |class, count| (class, SavedServiceTime { counts: alloc::vec![(80, count)] });
        let state = SavedServiceTimes {
            all: SavedServiceTime { counts: alloc::vec![(80, 5), (u32::MAX, 5)] },
            classes: alloc::vec![class(0, 500), class(0, 50), class(5, 50), class(u32::MAX, 50)],
        };
        let restored = ServiceTimes::restored(&state);
        assert_eq!(restored.times(Some(1)).seen(), 50);
        assert_eq!(restored.times(None).seen(), 5);
    }
}
