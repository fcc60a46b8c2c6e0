//! The operations, with the SDK's own arguments.

use aws_sdk_bedrockruntime::Client as SdkClient;
use aws_sdk_bedrockruntime::config::http::HttpResponse;
use aws_sdk_bedrockruntime::error::SdkError;
use aws_sdk_bedrockruntime::operation::converse::builders::ConverseInputBuilder;
use aws_sdk_bedrockruntime::operation::converse::{ConverseError, ConverseOutput};
use aws_sdk_bedrockruntime::operation::converse_stream::ConverseStreamError;
use aws_sdk_bedrockruntime::operation::converse_stream::builders::ConverseStreamInputBuilder;
use aws_sdk_bedrockruntime::operation::invoke_model::builders::InvokeModelInputBuilder;
use aws_sdk_bedrockruntime::operation::invoke_model::{InvokeModelError, InvokeModelOutput};
use aws_sdk_bedrockruntime::operation::invoke_model_with_response_stream::InvokeModelWithResponseStreamError;
use aws_sdk_bedrockruntime::operation::invoke_model_with_response_stream::builders::InvokeModelWithResponseStreamInputBuilder;
use aws_sdk_bedrockruntime::types;
use aws_smithy_types::{Blob, Document};
use std::collections::HashMap;
use std::time::Duration;

use sluicegate::TenantId;

use super::capture::Exchange;
use super::client::{CallOptions, Client, sdk_error};
use super::stream::{ConverseStreamAnswer, InvokeModelStreamAnswer};
use super::{json, shape};
use crate::{Operation, RequestShape, Usage, estimate_request};

/// A request builder with the setters of the SDK's own and three of ours.
macro_rules! operation {
    (
        $(#[$doc:meta])* $name:ident, $method:ident, $input:ty;
        fields { $($field:ident, $set:ident: $kind:ty $(, from $item:ty)?;)* }
        maps { $($map:ident, $set_map:ident: $value:ty;)* }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        #[must_use = "nothing is sent before `send`"]
        pub struct $name {
            client: Client,
            input: $input,
            options: CallOptions,
        }

        impl Client {
            $(#[$doc])*
            pub fn $method(&self) -> $name {
                $name { client: self.clone(), input: Default::default(), options: CallOptions::default() }
            }
        }

        impl $name {
            $(
                operation!(@one $field $(, $item)?; $kind);
                #[doc = concat!("`", stringify!($set), "` of the SDK's own builder.")]
                pub fn $set(mut self, input: Option<$kind>) -> Self {
                    self.input = self.input.$set(input);
                    self
                }
            )*
            $(
                #[doc = concat!("`", stringify!($map), "` of the SDK's own builder.")]
                pub fn $map(mut self, key: impl Into<String>, value: impl Into<$value>) -> Self {
                    self.input = self.input.$map(key, value.into());
                    self
                }
                #[doc = concat!("`", stringify!($set_map), "` of the SDK's own builder.")]
                pub fn $set_map(mut self, input: Option<HashMap<String, $value>>) -> Self {
                    self.input = self.input.$set_map(input);
                    self
                }
            )*

            /// When the call must have been answered, counted from its submission.
            pub fn deadline(mut self, deadline: Duration) -> Self {
                self.options.deadline = Some(deadline);
                self
            }

            /// The call's priority; higher goes first among the calls of its tenant.
            pub fn priority(mut self, priority: u8) -> Self {
                self.options.priority = priority;
                self
            }

            /// Whom the call is made for: tenants share the quotas fairly.
            pub fn tenant(mut self, tenant: TenantId) -> Self {
                self.options.tenant = tenant;
                self
            }
        }
    };
    (@one $field:ident; $kind:ty) => {
        #[doc = concat!("`", stringify!($field), "` of the SDK's own builder.")]
        pub fn $field(mut self, input: impl Into<$kind>) -> Self {
            self.input = self.input.$field(input.into());
            self
        }
    };
    (@one $field:ident, $item:ty; $kind:ty) => {
        #[doc = concat!("Appends to `", stringify!($field), "`, as the SDK's own builder does.")]
        pub fn $field(mut self, input: impl Into<$item>) -> Self {
            self.input = self.input.$field(input.into());
            self
        }
    };
}

operation! {
    /// Converse: one message for a conversation.
    Converse, converse, ConverseInputBuilder;
    fields {
        model_id, set_model_id: String;
        messages, set_messages: Vec<types::Message>, from types::Message;
        system, set_system: Vec<types::SystemContentBlock>, from types::SystemContentBlock;
        inference_config, set_inference_config: types::InferenceConfiguration;
        tool_config, set_tool_config: types::ToolConfiguration;
        guardrail_config, set_guardrail_config: types::GuardrailConfiguration;
        additional_model_request_fields, set_additional_model_request_fields: Document;
        additional_model_response_field_paths, set_additional_model_response_field_paths: Vec<String>, from String;
        performance_config, set_performance_config: types::PerformanceConfiguration;
        service_tier, set_service_tier: types::ServiceTier;
        output_config, set_output_config: types::OutputConfig;
    }
    maps {
        prompt_variables, set_prompt_variables: types::PromptVariableValues;
        request_metadata, set_request_metadata: String;
    }
}

operation! {
    /// ConverseStream: one message for a conversation, as it is made.
    ConverseStream, converse_stream, ConverseStreamInputBuilder;
    fields {
        model_id, set_model_id: String;
        messages, set_messages: Vec<types::Message>, from types::Message;
        system, set_system: Vec<types::SystemContentBlock>, from types::SystemContentBlock;
        inference_config, set_inference_config: types::InferenceConfiguration;
        tool_config, set_tool_config: types::ToolConfiguration;
        guardrail_config, set_guardrail_config: types::GuardrailStreamConfiguration;
        additional_model_request_fields, set_additional_model_request_fields: Document;
        additional_model_response_field_paths, set_additional_model_response_field_paths: Vec<String>, from String;
        performance_config, set_performance_config: types::PerformanceConfiguration;
        service_tier, set_service_tier: types::ServiceTier;
        output_config, set_output_config: types::OutputConfig;
    }
    maps {
        prompt_variables, set_prompt_variables: types::PromptVariableValues;
        request_metadata, set_request_metadata: String;
    }
}

operation! {
    /// InvokeModel: an answer in the model vendor's own form.
    InvokeModel, invoke_model, InvokeModelInputBuilder;
    fields {
        model_id, set_model_id: String;
        body, set_body: Blob;
        content_type, set_content_type: String;
        accept, set_accept: String;
        trace, set_trace: types::Trace;
        guardrail_identifier, set_guardrail_identifier: String;
        guardrail_version, set_guardrail_version: String;
        performance_config_latency, set_performance_config_latency: types::PerformanceConfigLatency;
        service_tier, set_service_tier: types::ServiceTierType;
        request_metadata, set_request_metadata: String;
    }
    maps {}
}

operation! {
    /// InvokeModelWithResponseStream: an answer in the model vendor's own form, as it is made.
    InvokeModelWithResponseStream, invoke_model_with_response_stream, InvokeModelWithResponseStreamInputBuilder;
    fields {
        model_id, set_model_id: String;
        body, set_body: Blob;
        content_type, set_content_type: String;
        accept, set_accept: String;
        trace, set_trace: types::Trace;
        guardrail_identifier, set_guardrail_identifier: String;
        guardrail_version, set_guardrail_version: String;
        performance_config_latency, set_performance_config_latency: types::PerformanceConfigLatency;
        service_tier, set_service_tier: types::ServiceTierType;
        request_metadata, set_request_metadata: String;
    }
    maps {}
}

impl Converse {
    /// Sends it when and where the engine decides.
    ///
    /// # Errors
    /// The SDK's error of the last attempt; where the engine had the last word, a construction or time-out error whose
    /// source is [`NotSent`](super::NotSent).
    pub async fn send(self) -> Result<ConverseOutput, SdkError<ConverseError, HttpResponse>> {
        let input = &self.input;
        let shape = shape::converse(
            input.get_messages().as_deref(),
            input.get_system().as_deref(),
            input.get_tool_config().as_ref(),
            input.get_inference_config().as_ref(),
        );
        let model = input.get_model_id().as_deref();
        let plan = self.client.plan(model, shape, self.options).map_err(SdkError::construction_failure)?;
        let send = |client: SdkClient, target: String| {
            let input = input.clone().model_id(target);
            async move { input.send_with(&client).await }
        };
        let count = |tokens: i32| u64::try_from(tokens).unwrap_or(0);
        let usage = |output: &ConverseOutput, _: &Exchange| {
            output.usage().map(|usage| Usage {
                input: count(usage.input_tokens()),
                output: count(usage.output_tokens()),
                cache_read: count(usage.cache_read_input_tokens().unwrap_or(0)),
                cache_write: count(usage.cache_write_input_tokens().unwrap_or(0)),
            })
        };
        match self.client.drive(&plan, Exchange::default, send, usage).await {
            Ok(answered) => Ok(answered.answer),
            Err(ended) => Err(sdk_error(ended.reason, ended.last.map(|refusal| refusal.error))),
        }
    }
}

impl ConverseStream {
    /// Opens the stream when and where the engine decides. Returns with the first event that carries part of the
    /// answer; until then attempts may be repeated.
    ///
    /// # Errors
    /// As [`Converse::send`]; an error frame that came before anything else is the source of a dispatch failure.
    pub async fn send(self) -> Result<ConverseStreamAnswer, SdkError<ConverseStreamError, HttpResponse>> {
        let input = &self.input;
        let shape = shape::converse(
            input.get_messages().as_deref(),
            input.get_system().as_deref(),
            input.get_tool_config().as_ref(),
            input.get_inference_config().as_ref(),
        );
        let model = input.get_model_id().as_deref();
        let plan = self.client.plan(model, shape, self.options).map_err(SdkError::construction_failure)?;
        let send = |client: SdkClient, target: String| {
            let input = input.clone().model_id(target);
            async move { input.send_with(&client).await.map(|output| ((), output.stream)) }
        };
        let ((), stream) = self.client.open(plan, send).await?;
        Ok(ConverseStreamAnswer { stream })
    }
}

/// The shape of a vendor's body; an empty one where it is no JSON, for the service to refuse.
fn invoke_shape(body: Option<&Blob>) -> RequestShape {
    let body = body.and_then(|body| serde_json::from_slice(body.as_ref()).ok());
    body.map_or_else(RequestShape::default, |body| estimate_request(&body, Operation::InvokeModel))
}

impl InvokeModel {
    /// Sends it when and where the engine decides.
    ///
    /// # Errors
    /// As [`Converse::send`].
    pub async fn send(self) -> Result<InvokeModelOutput, SdkError<InvokeModelError, HttpResponse>> {
        let input = &self.input;
        let model = input.get_model_id().as_deref();
        let shape = invoke_shape(input.get_body().as_ref());
        let plan = self.client.plan(model, shape, self.options).map_err(SdkError::construction_failure)?;
        let send = |client: SdkClient, target: String| {
            let input = input.clone().model_id(target);
            async move { input.send_with(&client).await }
        };
        let usage = |output: &InvokeModelOutput, exchange: &Exchange| json::usage(output.body().as_ref(), exchange);
        match self.client.drive(&plan, Exchange::default, send, usage).await {
            Ok(answered) => Ok(answered.answer),
            Err(ended) => Err(sdk_error(ended.reason, ended.last.map(|refusal| refusal.error))),
        }
    }
}

impl InvokeModelWithResponseStream {
    /// Opens the stream when and where the engine decides. Returns with the first chunk that carries part of the
    /// answer; until then attempts may be repeated.
    ///
    /// # Errors
    /// As [`ConverseStream::send`].
    pub async fn send(
        self,
    ) -> Result<InvokeModelStreamAnswer, SdkError<InvokeModelWithResponseStreamError, HttpResponse>> {
        let input = &self.input;
        let model = input.get_model_id().as_deref();
        let shape = invoke_shape(input.get_body().as_ref());
        let plan = self.client.plan(model, shape, self.options).map_err(SdkError::construction_failure)?;
        let send = |client: SdkClient, target: String| {
            let input = input.clone().model_id(target);
            async move {
                let output = input.send_with(&client).await?;
                Ok(((output.content_type, output.performance_config_latency, output.service_tier), output.body))
            }
        };
        let ((content_type, performance_config_latency, service_tier), body) = self.client.open(plan, send).await?;
        Ok(InvokeModelStreamAnswer { body, content_type, performance_config_latency, service_tier })
    }
}
