//! The second pass: takes records in, holds a bounded number of calls, hands answers to the writer.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sluicegate::OutcomeClass;
use sluicegate_bedrock::aws_sdk::{CallError, Client, JsonAnswer};
use tokio::task::{JoinError, JoinSet};
use tokio::time::MissedTickBehavior;

use super::Context;
use super::end::{Trouble, error_object, in_words};
use super::input::{self, Job};
use super::notes::Notes;
use super::output::Output;
use super::pools::Pools;
use super::progress::{Figures, Progress};
use super::record::Fingerprint;
use super::state::StateFile;
use super::stats::Shared;
use super::stop::{Meaning, Stop, meaning};
use super::summary::Tally;
use super::writer::{ErrorObject, Writer, Written, answer_line, error_line};
use crate::exit::{Code, Failure};
use crate::service::Signals;

/// So many records are held at least, if the input has them, so that the engine always has one to send. Beyond it, twice
/// as many as there are attempts out: half of them then wait for their turn. `--max-in-flight` bounds both.
const LEAST_HELD: usize = 64;
/// The text of the held records, in bytes, at most (and one record more). On its way each byte is in memory up to five
/// times: as the record, parsed for its size, and as the request.
const MOST_HELD_BYTES: usize = 64 << 20;
/// While nothing was ever served, so many attempts without a sign of life end the run.
const ENOUGH_WITHOUT_A_SIGN: usize = 20;
/// How often the bar moves and the room for new records is measured anew.
const TICK: Duration = Duration::from_millis(100);
/// How many ticks lie between two looks at the pools.
const TICKS_PER_SAMPLE: u64 = 10;
/// How many ticks lie between two times that the state is saved: half a minute.
const TICKS_PER_SAVE: u64 = 300;
/// While draining, the calls that never went out are dropped after so many ticks with nothing out.
const TICKS_TO_DRAIN: u64 = 2;

/// How a run went.
#[derive(Debug)]
pub(crate) struct Ended {
    /// What became of the records.
    pub(crate) tally: Tally,
    /// What became of their lines.
    pub(crate) written: Written,
    /// Why it stopped early, if it did.
    pub(crate) stop: Option<Stop>,
    /// The failure to name with it.
    pub(crate) trouble: Option<Trouble>,
    /// Use of the quotas.
    pub(crate) pools: Pools,
    /// How long it took.
    pub(crate) took: Duration,
}

type Finished = (Job, Result<JsonAnswer, CallError>);

/// A run under way.
pub(crate) struct Pump {
    context: Arc<Context>,
    client: Client,
    stats: Shared,
    pools: Pools,
    writer: Writer,
    progress: Progress,
    tasks: JoinSet<Finished>,
    held_bytes: usize,
    tally: Tally,
    errors: Notes,
    /// Whether any call was served.
    alive: bool,
    /// Records that failed before any was served: errors if one is served yet, else left for the next run.
    held_back: Vec<(Job, ErrorObject)>,
    stop: Option<Stop>,
    trouble: Option<Trouble>,
    idle_ticks: u64,
    state: Option<StateFile>,
}

impl Pump {
    /// Gets ready; `tally.left` is how many records there are to send.
    pub(crate) fn new(
        context: Arc<Context>,
        client: Client,
        stats: Shared,
        output: Output,
        output_path: &Path,
        tally: Tally,
    ) -> Self {
        Self {
            pools: Pools::new(&context.loaded.policy),
            context,
            client,
            stats,
            writer: Writer::start(output, output_path.to_owned()),
            progress: Progress::start(tally.left, tally.skipped),
            tasks: JoinSet::new(),
            held_bytes: 0,
            tally,
            errors: Notes::new("failed records"),
            alive: false,
            held_back: Vec::new(),
            stop: None,
            trouble: None,
            idle_ticks: 0,
            state: None,
        }
    }

    /// Keeps the engine's state in this file; tries whether it can be written.
    pub(crate) fn keeping(self, state: Option<StateFile>) -> Result<Self, Failure> {
        if let Some(file) = &state {
            file.try_out(self.client.gate())?;
        }
        Ok(Self { state, ..self })
    }

    fn save(&mut self) {
        let progress = &self.progress;
        if let Some(file) = &mut self.state {
            file.save(self.client.gate(), |text| progress.say(text));
        }
    }

    /// Sends the records of `todo`.
    pub(crate) async fn run(mut self, todo: HashSet<Fingerprint>) -> Result<Ended, Failure> {
        let mut signals = Signals::listen()?;
        let mut input = input::start(&self.context, todo);
        let mut over = false;
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut ticks = 0_u64;
        let mut writer_failed = self.writer.failed.clone();
        loop {
            over |= self.stop.is_some();
            if over && self.tasks.is_empty() {
                break;
            }
            let room = !over && self.tasks.len() < self.window() && self.held_bytes < MOST_HELD_BYTES;
            tokio::select! {
                job = input.recv(), if room => match job {
                    Some(Ok(job)) => self.submit(job),
                    Some(Err(failure)) => self.stop(Stop::Broken(failure)),
                    None => over = true,
                },
                Some(ended) = self.tasks.join_next(), if !self.tasks.is_empty() => self.ended(ended).await,
                _ = tick.tick() => {
                    ticks += 1;
                    self.tick(ticks);
                }
                Ok(()) = writer_failed.changed(), if !*writer_failed.borrow() => {
                    self.stop(Stop::CannotWrite);
                }
                () = signals.next() => {
                    if self.stop.is_some() {
                        self.progress.say("stopping at once");
                        self.stop(Stop::Interrupted);
                        break;
                    }
                    self.stop(Stop::Interrupted);
                }
            }
        }
        drop(input);
        self.tasks.shutdown().await;
        self.finish().await
    }

    /// How many records may be held now.
    fn window(&self) -> usize {
        let out = self.client.gate().inspect(|engine, _| engine.in_flight());
        out.saturating_mul(2).max(LEAST_HELD).min(self.context.max_in_flight)
    }

    fn submit(&mut self, job: Job) {
        self.held_bytes += job.model_input.len();
        let client = self.client.clone();
        let options = self.context.options;
        self.tasks.spawn(async move {
            let body = job.model_input.clone().into_bytes();
            let result = client.send_json(job.operation, &job.model, body, options).await;
            (job, result)
        });
    }

    async fn ended(&mut self, ended: Result<Finished, JoinError>) {
        let (job, result) = match ended {
            Ok(finished) => finished,
            Err(error) if error.is_cancelled() => return,
            Err(error) => {
                let failure = Failure::new(Code::Unexpected, format!("a call failed in a way nobody foresaw: {error}"));
                return self.stop(Stop::Broken(failure));
            }
        };
        self.held_bytes = self.held_bytes.saturating_sub(job.model_input.len());
        match result {
            Ok(answer) => {
                self.served().await;
                match answer_line(&job.record_id, &job.model_input, answer.body) {
                    Ok(line) => {
                        self.tally.answered += 1;
                        self.write(line).await;
                    }
                    Err(error) => {
                        let endpoint = self.context.loaded.policy.endpoint(answer.endpoint);
                        let error = ErrorObject {
                            error_code: "AnswerNotJson".to_owned(),
                            error_message: format!("the answer is not JSON: {error}"),
                            endpoint: endpoint.map(|endpoint| endpoint.name.clone()),
                            attempts: answer.attempts,
                        };
                        self.failed(&job, &error).await;
                    }
                }
            }
            Err(error) => self.unanswered(job, &error).await,
        }
    }

    async fn unanswered(&mut self, job: Job, error: &CallError) {
        let meaning = meaning(error, self.alive);
        if let CallError::Failed { endpoint, class, .. } = error {
            let dead = matches!(class, OutcomeClass::Unavailable | OutcomeClass::Unusable);
            // The one that says where and why, and about credentials before all else.
            let better = match meaning {
                Meaning::Credentials => !matches!(self.stop, Some(Stop::Credentials)),
                _ => dead && !self.alive && self.trouble.as_ref().is_none_or(|it| it.endpoint.is_none()),
            };
            if better {
                self.trouble = Some(Trouble { endpoint: Some(*endpoint), text: in_words(error) });
            }
        }
        match meaning {
            Meaning::CalledOff => {}
            Meaning::Credentials => self.stop(Stop::Credentials),
            Meaning::NoEndpoint => {
                self.trouble.get_or_insert(Trouble { endpoint: None, text: error.to_string() });
                self.stop(Stop::Unreachable);
            }
            Meaning::NoSign => {
                let object = error_object(&self.context, error);
                self.held_back.push((job, object));
                if self.held_back.len() >= ENOUGH_WITHOUT_A_SIGN {
                    self.stop(Stop::Unreachable);
                }
            }
            Meaning::Failed => {
                if let CallError::Failed { class, .. } = error
                    && !matches!(class, OutcomeClass::Unavailable | OutcomeClass::Unusable)
                {
                    self.served().await;
                }
                self.failed(&job, &error_object(&self.context, error)).await;
            }
        }
    }

    /// An endpoint has shown that it works, so that earlier failures were their records' own.
    async fn served(&mut self) {
        self.alive = true;
        self.trouble = None;
        for (job, error) in std::mem::take(&mut self.held_back) {
            self.failed(&job, &error).await;
        }
    }

    async fn failed(&mut self, job: &Job, error: &ErrorObject) {
        let line = match error_line(&job.record_id, &job.model_input, error) {
            Ok(line) => line,
            Err(failure) => {
                let what = format!("line {}: the error cannot be written as JSON: {failure}", job.line);
                return self.stop(Stop::Broken(Failure::new(Code::Unexpected, what)));
            }
        };
        let place = error.endpoint.as_ref().map_or_else(String::new, |endpoint| format!(" at {endpoint}"));
        let message = format!("record \"{}\": {}{place}: {}", job.record_id, error.error_code, error.error_message);
        let progress = &self.progress;
        self.errors.add(&self.context.input.display(), job.line, &message, |text| progress.say(text));
        self.tally.failed += 1;
        self.write(line).await;
    }

    async fn write(&mut self, line: Vec<u8>) {
        self.tally.left = self.tally.left.saturating_sub(1);
        self.writer.write(line).await;
    }

    fn stop(&mut self, stop: Stop) {
        let earlier = self.stop.take();
        if earlier.is_none() {
            let out = self.client.gate().inspect(|engine, _| engine.in_flight());
            if out > 0 {
                let what = stop.what();
                self.progress.say(format!("{what}; waiting for {out} requests in flight (Ctrl-C: stop at once)"));
            }
        }
        self.stop = Some(match earlier {
            Some(earlier) => earlier.or(stop),
            None => stop,
        });
        self.client.gate().cancel_waiting();
    }

    fn tick(&mut self, ticks: u64) {
        let (in_flight, waiting) = self.client.gate().inspect(|engine, _| (engine.in_flight(), engine.waiting()));
        if ticks % TICKS_PER_SAMPLE == 1 {
            self.pools.sample(self.client.gate());
        }
        if ticks.is_multiple_of(TICKS_PER_SAVE) {
            self.save();
        }
        let refused_permille = self.stats.lock().refused_permille();
        let ended = self.tally.answered + self.tally.failed;
        self.progress.show(Figures { ended, in_flight, waiting, refused_permille });
        if self.stop.is_some() {
            // A failed attempt may have gone back to waiting.
            self.client.gate().cancel_waiting();
            self.idle_ticks = if in_flight == 0 { self.idle_ticks + 1 } else { 0 };
            if self.idle_ticks >= TICKS_TO_DRAIN {
                self.tasks.abort_all();
            }
        } else if !self.alive && self.stats.lock().all_unavailable(ENOUGH_WITHOUT_A_SIGN as u64) {
            self.stop(Stop::Unreachable);
        }
    }

    async fn finish(mut self) -> Result<Ended, Failure> {
        if self.stop.is_none() && !self.held_back.is_empty() {
            self.stop(Stop::Unreachable);
        }
        self.pools.sample(self.client.gate());
        self.save();
        let written = self.writer.finish().await;
        let took = self.progress.finish();
        let mut tally = self.tally;
        tally.left += written.lost;
        tally.answered = tally.answered.saturating_sub(written.lost);
        Ok(Ended { tally, written, stop: self.stop, trouble: self.trouble, pools: self.pools, took })
    }
}
