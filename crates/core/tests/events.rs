//! The table of events in `crates/core/EVENTS.md`, which the documentation of `Event` includes.
//!
//! `SLUICEGATE_BLESS=1 cargo test -p sluicegate --test events` writes it.

use std::fs;
use std::path::Path;

use sluicegate::{Event, EventField, FieldKind};

fn kind(field: &EventField) -> &'static str {
    match field.kind {
        FieldKind::Identity => "identity",
        FieldKind::Counter => "counter",
        FieldKind::Measure => "measure",
    }
}

fn table() -> String {
    let mut text = String::from(
        "<!-- Written by `SLUICEGATE_BLESS=1 cargo test -p sluicegate --test events` from the definition of `Event`. -->\n\n\
        An *identity* says which or how; a *counter* adds up over events; a *measure* is looked at as a distribution or by\n\
        its last value. Each kind of event can itself be counted.\n\n\
        | event | field | kind | unit | meaning |\n|---|---|---|---|---|\n",
    );
    for event in Event::KINDS {
        text.push_str(&format!("| **`{}`** | | | | {} |\n", event.name, event.meaning));
        for field in event.fields {
            let unit = field.unit.unwrap_or_default();
            text.push_str(&format!("| | `{}` | {} | {unit} | {} |\n", field.name, kind(field), field.meaning));
        }
    }
    text
}

#[test]
fn the_table_of_the_documentation_is_that_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("EVENTS.md");
    if std::env::var_os("SLUICEGATE_BLESS").is_some() {
        fs::write(&path, table()).expect("the table can be written");
    }
    assert_eq!(fs::read_to_string(&path).expect("the table is there"), table());
}

#[test]
fn every_number_has_a_unit_and_no_identity_has() {
    for event in Event::KINDS {
        for field in event.fields {
            let place = format!("{} {}", event.name, field.name);
            assert_eq!(field.unit.is_some(), field.kind != FieldKind::Identity, "{place}");
            assert!(!field.meaning.is_empty() && !field.meaning.contains('|'), "{place}");
            assert_eq!(field.unit == Some("microseconds"), field.name.ends_with("_us"), "{place}");
        }
    }
}
