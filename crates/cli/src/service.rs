//! Which service a run talks to, as whom, and how it is told to stop.

use aws_config::BehaviorVersion;
use aws_config::Region;
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use aws_types::SdkConfig;
use aws_types::service_config::ServiceConfigKey;

use crate::exit::{Code, Failure};

/// Key id and secret for the fake, which wants some but checks none.
pub(crate) const DUMMY_KEY: &str = "sluicegate-local";
/// What to do about credentials.
pub(crate) const CREDENTIALS_REMEDY: &str = "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or log in again \
    (`aws sso login`), and check with `aws sts get-caller-identity`; to try without AWS, add --local";

/// The environment variable with a Bedrock API key, which takes the place of credentials.
const BEARER_VARIABLE: &str = "AWS_BEARER_TOKEN_BEDROCK";

/// The configuration for the fake at `url`.
pub(crate) fn local(url: &str) -> SdkConfig {
    let credentials = Credentials::from_keys(DUMMY_KEY, DUMMY_KEY, None);
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(url)
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build()
}

/// The configuration that every AWS tool uses: environment, profile files, roles.
///
/// # Errors
/// There are no credentials.
pub(crate) async fn aws() -> Result<SdkConfig, Failure> {
    // The policy names the Region of each endpoint; this one only keeps the chain from asking around for a default.
    let config = aws_config::defaults(BehaviorVersion::latest()).region(Region::new("us-east-1")).load().await;
    if std::env::var_os(BEARER_VARIABLE).is_some_and(|token| !token.is_empty()) {
        return Ok(config);
    }
    let missing = |why: String| {
        Failure::new(Code::Credentials, format!("there are no AWS credentials: {why}")).remedy(CREDENTIALS_REMEDY)
    };
    let provider = config.credentials_provider().ok_or_else(|| missing("no provider is set up".to_owned()))?;
    match provider.provide_credentials().await {
        Ok(_) => Ok(config),
        Err(error) => Err(missing(causes(&error))),
    }
}

/// An error and what caused it, without saying anything twice.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let more = cause.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        next = cause.source();
    }
    text
}

/// The address that requests for `region` go to.
pub(crate) fn url(config: &SdkConfig, region: &str) -> String {
    let key = ServiceConfigKey::builder()
        .service_id("Bedrock Runtime")
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build()
        .ok();
    let of_service = key.and_then(|key| config.service_config().and_then(|source| source.load_config(key)));
    of_service
        .or_else(|| config.endpoint_url().map(str::to_owned))
        .unwrap_or_else(|| format!("https://bedrock-runtime.{region}.amazonaws.com"))
}

/// Ctrl-C, and SIGTERM where there is one.
pub(crate) struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    /// From now on the signals no longer end the process by themselves.
    pub(crate) fn listen() -> Result<Self, Failure> {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            let cannot = |error| Failure::new(Code::Unexpected, format!("signals cannot be handled: {error}"));
            Ok(Self {
                interrupt: signal(SignalKind::interrupt()).map_err(cannot)?,
                terminate: signal(SignalKind::terminate()).map_err(cannot)?,
            })
        }
        #[cfg(not(unix))]
        Ok(Self {})
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) {
        #[cfg(unix)]
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
        #[cfg(not(unix))]
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    }
}
