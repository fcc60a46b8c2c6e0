//! Amazon Bedrock's model invocation log (user guide, "Monitor model invocation using CloudWatch Logs and Amazon S3"):
//! records of schema type `ModelInvocationLog`, as S3 holds them or within CloudWatch's events.
//!
//! Records are in no order and may come twice, since AWS delivers them from many places, to S3 and CloudWatch alike: they
//! are sorted, and counted once for each `requestId` and time. A count of tokens that is there has to be one. A record that was
//! answered and does not say how large it was is left out: to guess half of the calls would answer another question.

use std::collections::{BTreeMap, BTreeSet, hash_map::DefaultHasher};
use std::hash::{Hash, Hasher as _};

use serde_json::Value;

use super::{Log, Logged, Size};

/// A refused request that comes again within so long is the same call: a minute, which a full quota takes to return.
const SAME_US: u64 = 60_000_000;
/// Where the cap on the answer stands, by API and model vendor.
const CAPS: [&str; 8] = [
    "/inferenceConfig/maxTokens",
    "/inferenceConfig/max_new_tokens",
    "/max_tokens",
    "/max_completion_tokens",
    "/max_gen_len",
    "/max_tokens_to_sample",
    "/textGenerationConfig/maxTokenCount",
    "/maxTokens",
];
/// Tokens of one call at most: beyond any model, and small enough to be added up.
const MOST_TOKENS: u64 = 1_000_000_000;
/// What the records are that say how a call went.
const SCHEMA: &str = "ModelInvocationLog";
/// Why a record is left out that came before.
const AGAIN: &str = "records that came a second time, by their requestId";
/// Why an answered record is left out.
const UNCOUNTED: &str = "calls that were answered, whose tokens the log does not count";
/// Operations that answer with generated tokens.
const OPERATIONS: [&str; 4] = ["Converse", "ConverseStream", "InvokeModel", "InvokeModelWithResponseStream"];
/// Errors that mean quota or capacity.
const REFUSALS: [&str; 3] = ["ThrottlingException", "ServiceUnavailableException", "TooManyRequestsException"];

struct Record {
    logged: Logged,
    /// What tells a request from others; absent if the log holds no bodies.
    body: Option<u64>,
    refused: bool,
    whole_second: bool,
}

/// Takes records in, one by one, and keeps of each what is needed.
#[derive(Default)]
pub(super) struct Reader {
    records: Vec<Record>,
    /// Hashes of the ids of requests and their times.
    seen: BTreeSet<u64>,
    latest_us: u64,
    unsorted: u64,
    left_out: BTreeMap<String, u64>,
}

impl Reader {
    /// Takes a record in.
    pub(super) fn record(&mut self, value: &Value) -> Result<(), String> {
        let record = match record(value)? {
            Ok(record) => record,
            Err(why) => {
                *self.left_out.entry(why).or_default() += 1;
                return Ok(());
            }
        };
        // Some tools write ids that are not one request's own; a second delivery has the time as well.
        let id = value.get("requestId").and_then(Value::as_str).filter(|id| !id.is_empty());
        if id.is_some_and(|id| !self.seen.insert(hash(&(id, text_of(value, "/timestamp"))))) {
            *self.left_out.entry(AGAIN.to_owned()).or_default() += 1;
            return Ok(());
        }
        self.unsorted += u64::from(record.logged.at_us < self.latest_us);
        self.latest_us = self.latest_us.max(record.logged.at_us);
        self.records.push(record);
        Ok(())
    }

    /// The calls that they make up.
    pub(super) fn log(mut self) -> Log {
        self.records.sort_by_key(|record| record.logged.at_us);
        spread(&mut self.records);
        let mut notes = Vec::new();
        if self.unsorted > 0 {
            let count = self.unsorted;
            notes.push(format!("sorted by time: {count} records stood behind later ones, as AWS delivers them"));
        }
        Log { calls: join(self.records), dated: true, left_out: self.left_out, notes }
    }
}

/// The record, or why it is left out.
fn record(value: &Value) -> Result<Result<Record, String>, String> {
    let text = |pointer: &str| text_of(value, pointer);
    let count = |pointer: &str| count(value, pointer);
    let (Some(time), Some(model)) = (text("/timestamp"), text("/modelId")) else {
        return Err(
            "neither an event of the engine nor a ModelInvocationLog record: no timestamp or modelId".to_owned()
        );
    };
    let at_us = unix_us(time).ok_or_else(|| format!("timestamp {time} is none in UTC since 1970"))?;
    // Whatever becomes of the record, a count that is none shows that the log is not what it seems.
    let read = count("/input/inputTokenCount")?;
    let cached = count("/input/cacheWriteInputTokenCount")?.unwrap_or(0);
    count("/input/cacheReadInputTokenCount")?;
    let output = count("/output/outputTokenCount")?;
    if let Some(schema) = text("/schemaType").filter(|schema| *schema != SCHEMA) {
        return Ok(Err(format!("records of the schema {schema}")));
    }
    let operation = text("/operation").unwrap_or("InvokeModel");
    if !OPERATIONS.contains(&operation) {
        return Ok(Err(format!("calls of {operation}")));
    }
    let error = text("/errorCode");
    let refused = error.is_some_and(|error| REFUSALS.contains(&error));
    if let (Some(error), false) = (error, refused) {
        return Ok(Err(format!("calls that ended in {error}")));
    }
    let body = value.pointer("/input/inputBodyJson");
    let mut cap = None;
    for pointer in CAPS.iter().filter(|pointer| body.is_some_and(|body| body.pointer(pointer).is_some())) {
        cap = cap.or(count(&format!("/input/inputBodyJson{pointer}"))?);
    }
    // A prompt has tokens; a refused one of 0 was not counted.
    let input = read.map(|read| read.saturating_add(cached)).filter(|input| !refused || *input > 0);
    let size = match (input, output, cap) {
        (Some(input), Some(output), max_tokens) => Some(Size::Counted { input, output, max_tokens }),
        // A refused attempt has no answer to count.
        (Some(input), None, max_tokens) if refused => Some(Size::Counted { input, output: 0, max_tokens }),
        (None, _, Some(max_tokens)) if refused => Some(Size::Capped { max_tokens }),
        _ if refused => None,
        _ => return Ok(Err(UNCOUNTED.to_owned())),
    };
    let latency = value.pointer("/output/outputBodyJson/metrics/latencyMs").and_then(Value::as_u64);
    let logged = Logged {
        at_us,
        tenant: tenant(text("/identity/arn").unwrap_or("unknown")),
        model: Some(model_id(model).to_owned()),
        size,
        answered: !refused,
        attempts: 1,
        refused: u64::from(refused),
        took_us: latency.map(|ms| ms.saturating_mul(1_000)),
        deadline_us: None,
    };
    let body = body.map(|body| hash(&body.to_string()));
    Ok(Ok(Record { logged, body, refused, whole_second: at_us.is_multiple_of(1_000_000) }))
}

/// A count of tokens; absent if the record does not have it.
fn count(value: &Value, pointer: &str) -> Result<Option<u64>, String> {
    match value.pointer(pointer) {
        None | Some(Value::Null) => Ok(None),
        Some(found) => match found.as_u64().filter(|count| *count <= MOST_TOKENS) {
            Some(count) => Ok(Some(count)),
            None => {
                let name = pointer.rsplit('/').next().unwrap_or(pointer);
                Err(format!("{name} is {found}, which is no whole number from 0 to {MOST_TOKENS}"))
            }
        },
    }
}

fn text_of<'v>(value: &'v Value, pointer: &str) -> Option<&'v str> {
    value.pointer(pointer).and_then(Value::as_str)
}

fn hash(what: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

/// Microseconds since 1970 of a moment as RFC 3339 has it in UTC: `2026-04-09T23:00:20.5Z`.
pub(super) fn unix_us(text: &str) -> Option<u64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let mut date = date.splitn(3, '-').map(digits);
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let mut time = time.splitn(3, ':').map(digits);
    let (hour, minute, second) = (time.next()??, time.next()??, time.next()??);
    digits(fraction)?;
    let micros = fraction.bytes().chain(core::iter::repeat(b'0')).take(6);
    let micros = micros.fold(0, |micros, digit| micros * 10 + u64::from(digit - b'0'));
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let february = if leap(year) { 29 } else { 28 };
    let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let month = usize::try_from(month).ok()?.checked_sub(1)?;
    let fits = (1..=*lengths.get(month)?).contains(&day) && hour < 24 && minute < 60 && second <= 60;
    if !fits || !(1970..10_000).contains(&year) {
        return None;
    }
    let years: u64 = (1970..year).map(|year| if leap(year) { 366 } else { 365 }).sum();
    let days = years + lengths.iter().take(month).sum::<u64>() + day - 1;
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000_000 + micros)
}

/// A number of digits alone.
fn digits(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// The role or user of an identity: session names change with every process.
fn tenant(arn: &str) -> String {
    let resource = arn.splitn(6, ':').nth(5).unwrap_or(arn);
    let mut parts = resource.split('/');
    match (parts.next(), parts.next()) {
        (Some("assumed-role"), Some(role)) => format!("role {role}"),
        (Some("user"), Some(_)) => format!("user {}", resource.rsplit('/').next().unwrap_or(resource)),
        _ => resource.to_owned(),
    }
}

/// The id at the end of an ARN.
fn model_id(model: &str) -> &str {
    if model.starts_with("arn:") { model.rsplit('/').next().unwrap_or(model) } else { model }
}

/// Records of one whole second are spread over it: the log's clock ticks that seldom.
fn spread(records: &mut [Record]) {
    for group in records.chunk_by_mut(|one, next| one.logged.at_us == next.logged.at_us) {
        let count = group.len() as u64;
        for (place, record) in (0_u64..).zip(group.iter_mut()).filter(|(_, record)| record.whole_second) {
            record.logged.at_us = record.logged.at_us.saturating_add(place * 1_000_000 / count.max(1));
        }
    }
}

/// Joins refused attempts with the same request coming again.
fn join(records: Vec<Record>) -> Vec<Logged> {
    let mut calls: Vec<Logged> = Vec::new();
    let mut waiting: BTreeMap<(u64, String), (u64, usize)> = BTreeMap::new();
    for Record { logged, body, refused, .. } in records {
        let Some(body) = body else {
            calls.push(logged);
            continue;
        };
        let key = (body, logged.tenant.clone());
        let last = logged.at_us;
        let earlier = waiting.remove(&key).filter(|(at, _)| last.saturating_sub(*at) <= SAME_US);
        let place = match earlier.and_then(|(_, place)| Some((place, calls.get_mut(place)?))) {
            Some((place, call)) => {
                call.attempts += logged.attempts;
                call.refused += logged.refused;
                call.answered = logged.answered;
                call.size = logged.size.or(call.size);
                call.took_us = logged.took_us;
                place
            }
            None => {
                calls.push(logged);
                calls.len() - 1
            }
        };
        if refused {
            waiting.insert(key, (last, place));
        }
    }
    calls
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn line(time: &str, text: &str, error: Option<&str>) -> Value {
        let mut record = json!({
            "schemaType": "ModelInvocationLog", "schemaVersion": "1.0", "timestamp": time, "operation": "Converse",
            "modelId": "arn:aws:bedrock:us-east-1:1:inference-profile/us.m", "region": "us-east-1",
            "identity": {"arn": "arn:aws:sts::1:assumed-role/batch/session-1"},
            "input": {"inputBodyJson": {"messages": text, "inferenceConfig": {"maxTokens": 300}}, "inputTokenCount": 35},
        });
        match error {
            Some(error) => record["errorCode"] = error.into(),
            None => {
                record["output"] = json!({"outputTokenCount": 46, "outputBodyJson": {"metrics": {"latencyMs": 3640}}})
            }
        }
        record
    }

    fn log(lines: &[Value]) -> Log {
        let mut reader = Reader::default();
        lines.iter().for_each(|line| reader.record(line).unwrap());
        reader.log()
    }

    #[test]
    fn moments_are_read_as_the_log_writes_them() {
        assert_eq!(unix_us("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(unix_us("2024-02-29T12:34:56.789Z"), Some(1_709_210_096_789_000));
        assert_eq!(unix_us("2026-04-09T23:00:20Z"), Some(1_775_775_620_000_000));
        let faulty = ["2023-02-29T00:00:00Z", "1969-12-31T23:59:59Z", "2026-04-09T23:00:20+02:00", "2026-04-09", "x"];
        assert!(faulty.into_iter().all(|text| unix_us(text).is_none()));
    }

    #[test]
    fn a_refused_request_that_comes_again_is_one_call() {
        let lines = vec![
            line("2026-04-09T23:00:20Z", "x", None),
            line("2026-04-09T23:00:17Z", "x", Some("ThrottlingException")),
            line("2026-04-09T23:00:17Z", "y", Some("ThrottlingException")),
            line("2026-04-09T23:02:17Z", "y", None),
            line("2026-04-09T23:03:17Z", "z", Some("ValidationException")),
        ];
        let log = log(&lines);
        let seen: Vec<_> = log.calls.iter().map(|call| (call.attempts, call.refused, call.answered)).collect();
        assert_eq!(seen, [(2, 1, true), (1, 1, false), (1, 0, true)]);
        assert_eq!(log.calls[0].size, Some(Size::Counted { input: 35, output: 46, max_tokens: Some(300) }));
        assert_eq!((log.calls[0].tenant.as_str(), log.calls[0].model.as_deref()), ("role batch", Some("us.m")));
        assert_eq!(log.calls[1].at_us - log.calls[0].at_us, 500_000);
        assert_eq!(log.left_out["calls that ended in ValidationException"], 1);
    }

    #[test]
    fn a_count_that_is_none_is_told() {
        for (pointer, value) in [
            ("/input/inputTokenCount", json!(-5)),
            ("/input/inputTokenCount", json!("5")),
            ("/input/cacheWriteInputTokenCount", json!(5.5)),
            ("/output/outputTokenCount", json!(1_000_000_001)),
            ("/input/inputBodyJson/inferenceConfig/maxTokens", json!(-1)),
        ] {
            let mut faulty = line("2026-04-09T23:00:20Z", "x", None);
            faulty["input"]["cacheWriteInputTokenCount"] = 0.into();
            *faulty.pointer_mut(pointer).unwrap() = value.clone();
            let name = pointer.rsplit('/').next().unwrap();
            let told = Reader::default().record(&faulty).unwrap_err();
            assert_eq!(told, format!("{name} is {value}, which is no whole number from 0 to 1000000000"));
        }
    }

    #[test]
    fn what_is_known_of_a_refused_call_is_kept() {
        let refused = |count: Value| {
            let mut record = line("2026-04-09T23:00:20Z", "x", Some("ThrottlingException"));
            record["input"]["inputTokenCount"] = count;
            log(&[record]).calls[0].size
        };
        assert_eq!(refused(json!(35)), Some(Size::Counted { input: 35, output: 0, max_tokens: Some(300) }));
        assert_eq!(refused(json!(0)), Some(Size::Capped { max_tokens: 300 }));
        assert_eq!(refused(Value::Null), Some(Size::Capped { max_tokens: 300 }));
        // The answer does not take away what a refusal said.
        let mut bare = line("2026-04-09T23:00:21Z", "x", Some("ThrottlingException"));
        bare["input"]["inputTokenCount"] = Value::Null;
        let joined = log(&[line("2026-04-09T23:00:20Z", "x", Some("ThrottlingException")), bare]);
        assert_eq!((joined.calls.len(), joined.calls[0].attempts), (1, 2));
    }

    #[test]
    fn records_that_come_twice_or_without_counts_are_left_out_and_told() {
        let mut first = line("2026-04-09T23:00:20Z", "x", None);
        first["requestId"] = "1".into();
        let mut without = line("2026-04-09T23:00:19Z", "y", None);
        without["output"] = json!({});
        let mut other = line("2026-04-09T23:00:18Z", "z", None);
        other["requestId"] = "1".into();
        let mut foreign = line("2026-04-09T23:00:21Z", "z", None);
        foreign["schemaType"] = "Other".into();
        let log = log(&[first.clone(), without, first, other, foreign]);
        assert_eq!(log.calls.len(), 2);
        let left_out: Vec<_> = log.left_out.iter().map(|(what, count)| (what.as_str(), *count)).collect();
        assert_eq!(left_out, [(UNCOUNTED, 1), ("records of the schema Other", 1), (AGAIN, 1)]);
        assert_eq!(log.notes, ["sorted by time: 1 records stood behind later ones, as AWS delivers them"]);
    }
}
