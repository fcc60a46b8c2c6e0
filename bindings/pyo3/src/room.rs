//! Where calls wait: threads on a lock each, event loops on a future each, with one desk, one clock and no thread of our own.
//!
//! Nothing of Python's runs while the desk is locked, and every lock is let go before anybody is woken, so a signal, the
//! garbage collector or a callback may come back here at any time. To wake a waiting thread is to release its lock, which is
//! one call into C that no signal can split.
//!
//! Somebody has to wait for [`Desk::next_wakeup`]. Among the threads that is one of those that wait, the leader; when it has
//! its turn it hands over to another. Each event loop has a timer of its own, its keeper. All are told when the wake-up comes
//! earlier than they know. A wake-up too many changes nothing.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use sluicegate::{CallId, Event, Timestamp};
use sluicegate_driver::{Desk, Turn};

use crate::clock::Clock;
use crate::errors;
use crate::event::PyEvent;

/// A thread's wait is cut into pieces no longer than this: a signal that comes in the instant between Python's last look and
/// the wait itself does not end the wait, and is found then.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// How often this process, or one that it descends from, was made by a fork.
static FORKS: AtomicU64 = AtomicU64::new(0);

/// Tells the gates of the parent process that they are in another one now.
#[pyfunction]
pub(crate) fn forked() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

pub(crate) struct Room {
    pub(crate) clock: Clock,
    forks: u64,
    state: Mutex<State>,
    /// Called with every event.
    observer: Option<Py<PyAny>>,
    /// Called once, when somebody else was first seen to retry as well.
    on_stacked: Py<PyAny>,
}

struct State {
    desk: Desk,
    /// The locks of the threads that wait, by their calls.
    threads: BTreeMap<CallId, Py<PyAny>>,
    /// The thread that keeps the time.
    leader: Option<CallId>,
    /// The wake-up that the leader sleeps for.
    armed: Option<Timestamp>,
    /// What is called for those who wait in event loops.
    wakers: HashMap<CallId, Py<PyAny>>,
    keepers: BTreeMap<u64, Keeper>,
    next_keeper: u64,
    observed: bool,
    events: Vec<(Timestamp, Event)>,
    stacked: Stacked,
}

/// The timer of one event loop.
struct Keeper {
    armed: Option<Timestamp>,
    /// Called without arguments, from any thread, where the timer is to be armed anew.
    poke: Py<PyAny>,
}

/// Whether somebody else was seen to retry as well.
enum Stacked {
    Never,
    Seen,
    Told,
}

/// One thing to do after an operation, without the lock.
enum Errand {
    Release(Py<PyAny>),
    Call(Py<PyAny>),
    Tell(Vec<(Timestamp, Event)>),
    Stacked,
}

impl Room {
    pub(crate) fn new(mut desk: Desk, clock: Clock, observer: Option<Py<PyAny>>, on_stacked: Py<PyAny>) -> Self {
        // Stacked retries are looked for in any case.
        desk.watch(true);
        let state = State {
            desk,
            threads: BTreeMap::new(),
            leader: None,
            armed: None,
            wakers: HashMap::new(),
            keepers: BTreeMap::new(),
            next_keeper: 0,
            observed: observer.is_some(),
            events: Vec::new(),
            stacked: Stacked::Never,
        };
        let forks = FORKS.load(Ordering::Relaxed);
        Self { clock, forks, state: Mutex::new(state), observer, on_stacked }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The desk has no state between two operations that a panic could leave half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this is the process that the gate was made in.
    pub(crate) fn is_at_home(&self) -> bool {
        self.forks == FORKS.load(Ordering::Relaxed)
    }

    fn at_home(&self, py: Python<'_>) -> PyResult<()> {
        if self.is_at_home() { Ok(()) } else { Err(errors::forked(py)) }
    }

    /// Looks at the desk, or asks it something that wakes nobody.
    pub(crate) fn look<T>(&self, py: Python<'_>, look: impl FnOnce(&mut Desk, Timestamp) -> T) -> PyResult<T> {
        self.at_home(py)?;
        errors::caught(py, || look(&mut self.lock().desk, self.clock.now()))
    }

    /// Does one thing at the desk and passes on what comes of it.
    pub(crate) fn at_desk<T>(&self, py: Python<'_>, operate: impl FnOnce(&mut Desk, Timestamp) -> T) -> PyResult<T> {
        let done = self.look(py, operate)?;
        self.pass_on(py)?;
        Ok(done)
    }

    /// Wakes those who have something to do, has timers armed, and tells the events.
    ///
    /// What a waker raises does not keep the others asleep; an interruption is raised when all are awake.
    fn pass_on(&self, py: Python<'_>) -> PyResult<()> {
        let mut interruption = None;
        loop {
            let Some(errand) = self.lock().next_errand(py) else { break };
            let done = match &errand {
                Errand::Release(lock) => lock.call_method0(py, "release"),
                // What interrupted it may have come before it did anything, and to be told twice does no harm.
                Errand::Call(wake) => wake.call0(py).inspect_err(|_| drop(wake.call0(py))),
                Errand::Tell(events) => match &self.observer {
                    Some(observer) => {
                        let known =
                            events.iter().filter_map(|(at, event)| Some((at.as_micros(), PyEvent::of(*event)?)));
                        observer.call1(py, (known.collect::<Vec<_>>(),))
                    }
                    None => Ok(py.None()),
                },
                Errand::Stacked => self.on_stacked.call0(py),
            };
            match (done, errand) {
                (Ok(_), _) => {}
                (Err(error), _) if !error.is_instance_of::<PyException>(py) => interruption = Some(error),
                // A lock that was released already, a loop that is closed: whoever waited there is awake or gone.
                (Err(_), Errand::Release(_) | Errand::Call(_)) => {}
                (Err(error), Errand::Tell(_) | Errand::Stacked) => error.write_unraisable(py, None),
            }
        }
        interruption.map_or(Ok(()), Err)
    }

    /// Takes the next turn of a call, if there is one.
    pub(crate) fn turn(&self, py: Python<'_>, call: CallId) -> PyResult<Option<Turn>> {
        self.look(py, |desk, _| desk.turn(call))
    }

    /// Waits for the next turn of a call on this thread. Other threads run meanwhile; the handler of a signal may raise.
    pub(crate) fn wait(&self, py: Python<'_>, call: CallId) -> PyResult<Turn> {
        if let Some(turn) = self.turn(py, call)? {
            return Ok(turn);
        }
        static NEW_LOCK: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let lock = NEW_LOCK.import(py, "_thread", "allocate_lock")?.call0()?;
        lock.call_method0("acquire")?;
        let waited = self.wait_on(py, call, &lock);
        // Whatever happened, another thread keeps the time from here on.
        let next = self.lock().stop_waiting(py, call);
        if let Some(next) = next {
            // One that is released already wakes up as well.
            let _ = next.call_method0(py, "release");
        }
        waited
    }

    fn wait_on(&self, py: Python<'_>, call: CallId, lock: &Bound<'_, PyAny>) -> PyResult<Turn> {
        loop {
            self.at_home(py)?;
            let timeout = {
                let mut state = self.lock();
                if let Some(turn) = state.desk.turn(call) {
                    return Ok(turn);
                }
                state.wait(call, lock, self.clock)
            };
            let timeout = timeout.unwrap_or(LONGEST_WAIT).min(LONGEST_WAIT);
            // A signal that came since Python last looked would not end the wait below.
            py.check_signals()?;
            let woken: bool = lock.call_method1("acquire", (true, timeout.as_secs_f64()))?.extract()?;
            if !woken {
                self.at_desk(py, Desk::wake)?;
            }
        }
    }

    /// Takes the next turn of a call; where there is none, `wake` is called, from any thread, when there is.
    pub(crate) fn park(&self, py: Python<'_>, call: CallId, wake: Py<PyAny>) -> PyResult<Option<Turn>> {
        self.at_home(py)?;
        let unused = {
            let mut state = self.lock();
            match state.desk.turn(call) {
                Some(turn) => return Ok(Some(turn)),
                None => state.wakers.insert(call, wake),
            }
        };
        drop(unused);
        Ok(None)
    }

    /// Opens a keeper of the time for an event loop.
    pub(crate) fn open_keeper(&self, py: Python<'_>, poke: Py<PyAny>) -> PyResult<u64> {
        self.at_home(py)?;
        let mut state = self.lock();
        let keeper = state.next_keeper;
        state.next_keeper += 1;
        state.keepers.insert(keeper, Keeper { armed: None, poke });
        Ok(keeper)
    }

    /// How long the timer of a keeper is to wait now; `None` where there is nothing to wait for.
    pub(crate) fn arm_keeper(&self, py: Python<'_>, keeper: u64) -> PyResult<Option<Duration>> {
        self.at_home(py)?;
        let mut state = self.lock();
        let next = state.desk.next_wakeup();
        if let Some(keeper) = state.keepers.get_mut(&keeper) {
            keeper.armed = next;
        }
        Ok(next.map(|at| at.saturating_since(self.clock.now())))
    }

    /// Closes the keeper of a loop in which nobody waits any more.
    pub(crate) fn close_keeper(&self, keeper: u64) {
        let closed = self.lock().keepers.remove(&keeper);
        drop(closed);
    }

    /// The caller of a call goes. In another process there is nothing to settle.
    pub(crate) fn leave(&self, py: Python<'_>, call: CallId) -> PyResult<()> {
        if !self.is_at_home() {
            return Ok(());
        }
        let waker = {
            let mut state = self.lock();
            state.desk.leave(self.clock.now(), call);
            state.wakers.remove(&call)
        };
        drop(waker);
        self.pass_on(py)
    }
}

impl State {
    /// Enters a thread among those that wait. Says for how long it is to sleep, if it keeps the time.
    fn wait(&mut self, call: CallId, lock: &Bound<'_, PyAny>, clock: Clock) -> Option<Duration> {
        self.threads.entry(call).or_insert_with(|| lock.clone().unbind());
        if *self.leader.get_or_insert(call) != call {
            return None;
        }
        self.armed = self.desk.next_wakeup();
        self.armed.map(|at| at.saturating_since(clock.now()))
    }

    /// A thread waits no longer. Returns the lock of the one that keeps the time instead, which has to learn of it.
    fn stop_waiting(&mut self, py: Python<'_>, call: CallId) -> Option<Py<PyAny>> {
        // Its own lock is still held by the caller, so nothing is cleared up here.
        self.threads.remove(&call);
        if self.leader != Some(call) {
            return None;
        }
        let next = self.threads.first_key_value();
        (self.leader, self.armed) = (next.map(|(call, _)| *call), None);
        next.map(|(_, lock)| lock.clone_ref(py))
    }

    /// The next thing to do after an operation. Those who wait come first.
    fn next_errand(&mut self, py: Python<'_>) -> Option<Errand> {
        while let Some(call) = self.desk.next_news() {
            if let Some(lock) = self.threads.get(&call) {
                return Some(Errand::Release(lock.clone_ref(py)));
            }
            if let Some(wake) = self.wakers.remove(&call) {
                return Some(Errand::Call(wake));
            }
        }
        let next = self.desk.next_wakeup();
        let earlier = |armed: Option<Timestamp>| next.is_some_and(|next| armed.is_none_or(|armed| next < armed));
        if let Some(lock) = self.leader.filter(|_| earlier(self.armed)).and_then(|call| self.threads.get(&call)) {
            self.armed = next;
            return Some(Errand::Release(lock.clone_ref(py)));
        }
        if let Some(keeper) = self.keepers.values_mut().find(|keeper| earlier(keeper.armed)) {
            keeper.armed = next;
            return Some(Errand::Call(keeper.poke.clone_ref(py)));
        }
        while let Some(event) = self.desk.next_event() {
            if matches!((&self.stacked, event.1), (Stacked::Never, Event::StackedRetry { .. })) {
                self.stacked = Stacked::Seen;
            }
            if self.observed {
                self.events.push(event);
            }
        }
        if matches!(self.stacked, Stacked::Seen) {
            self.stacked = Stacked::Told;
            return Some(Errand::Stacked);
        }
        (!self.events.is_empty()).then(|| Errand::Tell(std::mem::take(&mut self.events)))
    }
}
