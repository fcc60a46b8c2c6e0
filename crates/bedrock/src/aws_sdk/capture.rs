//! Looks over the SDK's shoulder: what it received, and bodies that are passed through unread.

use std::cell::RefCell;
use std::future::Future;

use aws_sdk_bedrockruntime::config::interceptors::{
    AfterDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextMut,
};
use aws_sdk_bedrockruntime::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_bedrockruntime::error::BoxError;
use aws_smithy_types::body::SdkBody;

/// What one attempt exchanged.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    /// Sent in place of the body the SDK made.
    pub(super) request_body: Option<Vec<u8>>,
    /// Whether the answer's body is wanted.
    pub(super) keep_body: bool,
    /// The answer's headers, in lower case.
    pub(super) headers: Vec<(String, String)>,
    /// The answer's body, where it was wanted and is not a stream.
    pub(super) body: Vec<u8>,
}

tokio::task_local! {
    /// The exchange of the attempt that runs on this task. The SDK runs its hooks on the task that awaits it.
    static EXCHANGE: RefCell<Exchange>;
}

/// Runs one attempt of the SDK and returns what it exchanged with its result.
pub(super) async fn exchanging<T>(exchange: Exchange, attempt: impl Future<Output = T>) -> (T, Exchange) {
    EXCHANGE
        .scope(RefCell::new(exchange), async {
            let result = attempt.await;
            (result, EXCHANGE.with(RefCell::take))
        })
        .await
}

/// The hook in the SDK's client.
#[derive(Debug)]
pub(super) struct Capture;

#[aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint]
impl Intercept for Capture {
    fn name(&self) -> &'static str {
        "sluicegate"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let body = EXCHANGE.try_with(|exchange| exchange.borrow_mut().request_body.take()).ok().flatten();
        if let Some(body) = body {
            let request = context.request_mut();
            request.headers_mut().insert("content-length", body.len().to_string());
            *request.body_mut() = SdkBody::from(body);
        }
        Ok(())
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response();
        // Outside an attempt of ours there is nobody to tell.
        let _ = EXCHANGE.try_with(|exchange| {
            let mut exchange = exchange.borrow_mut();
            exchange.headers =
                response.headers().iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            if exchange.keep_body {
                exchange.body = response.body().bytes().unwrap_or_default().to_vec();
            }
        });
        Ok(())
    }
}
