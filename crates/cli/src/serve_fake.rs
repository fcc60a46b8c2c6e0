//! `sluicegate serve-fake`.

use std::path::Path;
use std::time::Duration;

use sluicegate_fake_bedrock::{Fake, Options};
use sluicegate_sim::{Ledger, ServiceConfig};

use crate::args::ServeFakeArgs;
use crate::exit::{Code, Failure};
use crate::policy_check::{grouped, print, table, tell};
use crate::{fake, policy_file, service};

/// Serves until Ctrl-C, SIGTERM or the end of its time.
pub(crate) async fn serve(args: ServeFakeArgs) -> Result<Code, Failure> {
    let config = match &args.config {
        Some(path) => simulated(path)?,
        None => {
            let loaded = policy_file::load(args.policy.as_deref())?;
            fake::service(&loaded.policy, &loaded.catalogue)
        }
    };
    let mut signals = service::Signals::listen()?;
    let lifetime = Some(Duration::from_secs(args.seconds));
    let fake = fake::start(config.clone(), Options { port: args.port, lifetime, ..Options::default() }).await?;
    print(greeting(&fake, &config, args.seconds).as_bytes())?;
    tokio::select! {
        () = fake.stopped() => {}
        () = signals.next() => {}
    }
    let ledger = fake.stop().await;
    tell(books(&config, &ledger));
    Ok(Code::Done)
}

fn simulated(path: &Path) -> Result<ServiceConfig, Failure> {
    let name = path.display().to_string();
    let document = policy_file::document(&policy_file::read(path)?, &name)?;
    let config: ServiceConfig = serde_json::from_value(document)
        .map_err(|error| Failure::new(Code::Policy, format!("{name}: {error} [not_a_service]")))?;
    let faults = config.faults();
    if faults.is_empty() {
        return Ok(config);
    }
    let lines: Vec<String> = faults.iter().map(|fault| format!("{name}: {} [{}]", fault.path, fault.code)).collect();
    Err(Failure::new(Code::Policy, format!("the fake cannot be built\n{}", lines.join("\n"))))
}

fn greeting(fake: &Fake, config: &ServiceConfig, seconds: u64) -> String {
    let mut text = format!(
        "A fake Bedrock listens on {} for {seconds} s; Ctrl-C stops it. Point an AWS SDK at it with\n\n",
        fake.url()
    );
    let region = config.lanes.first().map_or("us-east-1", |lane| lane.region.as_str());
    for (name, value) in [
        ("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", fake.url().as_str()),
        ("AWS_ACCESS_KEY_ID", service::DUMMY_KEY),
        ("AWS_SECRET_ACCESS_KEY", service::DUMMY_KEY),
        ("AWS_REGION", region),
    ] {
        text.push_str(&format!("  export {name}={value}\n"));
    }
    text.push_str("\nIt serves\n");
    for lane in &config.lanes {
        let limit = |limit: Option<u64>| limit.map_or_else(|| "unlimited".to_owned(), grouped);
        text.push_str(&format!(
            "  {}  {}  requests/min {}, tokens/min {}\n",
            lane.region,
            lane.model,
            limit(lane.requests_per_minute),
            limit(lane.tokens_per_minute)
        ));
    }
    text
}

/// What the fake saw, by its own count.
fn books(config: &ServiceConfig, ledger: &Ledger) -> String {
    let mut table = table(&["Region", "model", "attempts", "answered", "refused", "tokens settled"]);
    for (lane, books) in config.lanes.iter().zip(&ledger.lanes) {
        let totals = &books.totals;
        table.add_row([
            lane.region.clone(),
            lane.model.clone(),
            grouped(totals.attempts),
            grouped(totals.completed),
            grouped(totals.refused_quota + totals.refused_capacity + totals.refused_other),
            grouped(totals.tokens_settled),
        ]);
    }
    table.trim_fmt()
}
