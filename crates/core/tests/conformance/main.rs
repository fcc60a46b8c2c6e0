//! Replays the traces of `tests/vectors/traces`, which every language replays: see the README there.
//!
//! `SLUICEGATE_BLESS=1 cargo test -p sluicegate --test conformance` writes what comes out into the traces.
#![expect(clippy::expect_used, clippy::panic, reason = "helpers of tests may end the test")]

extern crate alloc;

mod coverage;
mod layout;
#[path = "../../../../tests/no-host/src/replay.rs"]
mod replay;
#[path = "../../../../tests/no-host/src/sha256.rs"]
mod sha256;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// What JavaScript's numbers hold exactly.
const EXACT: u64 = 1 << 53;

/// What a step says of what comes out of it.
const EXPECTED: &[&str] = &["error", "explanation", "saved", "decisions", "events", "wakeup"];

/// A trace and the file it is in.
struct Trace {
    name: String,
    path: PathBuf,
    document: Value,
}

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors")
}

fn traces() -> Vec<Trace> {
    let folder = vectors().join("traces");
    let files = fs::read_dir(&folder).expect("the folder of the traces").map(|entry| entry.expect("a file").path());
    let mut paths: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|extension| extension == "json")).collect();
    paths.sort();
    let read = |path: PathBuf| {
        let name = path.file_stem().and_then(|name| name.to_str()).expect("a plain name").to_owned();
        let text = fs::read_to_string(&path).expect("a text");
        let document = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        Trace { name, path, document }
    };
    paths.into_iter().map(read).collect()
}

fn replay(trace: &Trace) -> Vec<Value> {
    replay::replay(&trace.document).unwrap_or_else(|error| panic!("{}: {error}", trace.name))
}

/// The places where a trace says what is to come out.
fn places(document: &mut Value) -> Vec<&mut Value> {
    if document.get("steps").is_none() {
        return vec![document];
    }
    document.get_mut("steps").and_then(Value::as_array_mut).into_iter().flatten().collect()
}

/// The same trace with `out` as what it expects.
fn expecting(trace: &Value, out: &[Value]) -> Value {
    let mut blessed = trace.clone();
    let places = places(&mut blessed);
    assert_eq!(places.len(), out.len(), "each step has its say");
    for (place, said) in places.into_iter().zip(out) {
        let fields = place.as_object_mut().expect("a step is an object");
        fields.retain(|key, _| !EXPECTED.contains(&key.as_str()) && key != "faults");
        fields.extend(said.as_object().expect("what comes out is an object").clone());
    }
    blessed
}

fn blessing() -> bool {
    std::env::var_os("SLUICEGATE_BLESS").is_some()
}

/// Where the first difference is, to be read by whoever broke a trace.
fn difference(expected: &Value, found: &Value) -> String {
    let (mut expected, mut found) = (expected.clone(), found.clone());
    let pairs = places(&mut expected).into_iter().zip(places(&mut found)).enumerate();
    let first = pairs.into_iter().find(|(_, (expected, found))| expected != found);
    first.map_or_else(String::new, |(index, (expected, found))| {
        format!("step {index}\nexpected: {}\nfound:    {}", layout::layout(expected), layout::layout(found))
    })
}

#[test]
fn every_trace_replays_to_what_it_says_twice() {
    let mut hashes = String::new();
    let mut wrong = Vec::new();
    for trace in traces() {
        let out = replay(&trace);
        assert_eq!(out, replay(&trace), "{}: a second replay differs", trace.name);
        let found = expecting(&trace.document, &out);
        if blessing() {
            fs::write(&trace.path, layout::file(&found)).expect("the trace can be written");
        } else if found != trace.document {
            wrong.push(format!("{}: {}", trace.name, difference(&trace.document, &found)));
        }
        hashes.push_str(&format!("{}  {}\n", sha256::hex(&replay::transcript(&out)), trace.name));
    }
    assert!(wrong.is_empty(), "{}\nlook at the differences, then bless them", wrong.join("\n"));
    let file = vectors().join("traces/HASHES");
    if blessing() {
        fs::write(&file, &hashes).expect("the hashes can be written");
    }
    assert_eq!(fs::read_to_string(&file).unwrap_or_default(), hashes, "bless the hashes");
}

#[test]
fn every_trace_is_of_the_form_that_its_schema_describes() {
    let text = fs::read_to_string(vectors().join("trace.schema.json")).expect("the schema is there");
    let schema: Value = serde_json::from_str(&text).expect("it is JSON");
    let validator = jsonschema::draft202012::new(&schema).expect("it is a schema");
    let check = |trace: &Value| validator.iter_errors(trace).map(|error| error.to_string()).collect::<Vec<_>>();
    let traces = traces();
    assert!(traces.len() >= 40, "{} traces", traces.len());
    for trace in &traces {
        assert_eq!(check(&trace.document), [""; 0], "{}", trace.name);
        assert_eq!(trace.document["name"], json!(trace.name), "a trace is called as its file is");
        exact(&trace.name, &trace.document);
    }
    let misspelt = json!({"at": 0, "input": {"submit": {"id": 1, "model": 0, "tokens": 1, "dead_line": 5}}});
    let trace = json!({"name": "a", "why": "b", "policy": {}, "draws": [], "steps": [misspelt]});
    assert!(!check(&trace).is_empty(), "the schema lets everything through");
}

/// Every language reads the numbers of a trace without loss.
fn exact(name: &str, value: &Value) {
    match value {
        Value::Number(number) => assert!(number.as_u64().is_some_and(|number| number <= EXACT), "{name}: {number}"),
        Value::Array(items) => items.iter().for_each(|item| exact(name, item)),
        Value::Object(fields) => fields.values().for_each(|field| exact(name, field)),
        _ => {}
    }
}

#[test]
fn a_wrong_expectation_is_noticed() {
    let trace = traces().into_iter().find(|trace| trace.document.get("steps").is_some()).expect("there are traces");
    let mut document = trace.document.clone();
    let last = places(&mut document).pop().expect("it has steps");
    last["wakeup"] = json!({"at": 12_345, "reason": "start"});
    assert_ne!(expecting(&document, &replay(&trace)), document);
    assert!(difference(&document, &trace.document).contains("12345"));
}

#[test]
fn the_hash_is_sha_256() {
    assert_eq!(sha256::hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_eq!(
        sha256::hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
        "two blocks"
    );
}
