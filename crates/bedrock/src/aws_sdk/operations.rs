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

use sluicegate::{LabelId, TenantId};

use super::capture::Exchange;
use super::client::{Client, sdk_error};
use super::stream::{ConverseStreamAnswer, InvokeModelStreamAnswer};
use super::{json, shape};
use crate::{Affinity, Asked, CallOptions, Operation, Told, Usage};

/// A request builder with the setters of the SDK's own and those of our own.
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

            /// Keeps the calls of one key, such as a conversation's, where their prompt cache is.
            pub fn affinity(mut self, key: impl Into<Affinity>) -> Self {
                self.options.affinity = Some(key.into());
                self
            }

            /// What kind of call it is: lengths of answers are learned for each model and label.
            pub fn label(mut self, label: LabelId) -> Self {
                self.options.label = label;
                self
            }

            /// Never sends the call twice at once, whatever the policy says of hedging.
            pub fn lone(mut self) -> Self {
                self.options.lone = true;
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

/// What a Converse or ConverseStream request asks for; both builders have the same getters and no common trait.
macro_rules! asked {
    ($input:expr) => {
        shape::converse(&shape::Parts {
            model: $input.get_model_id().as_deref(),
            messages: $input.get_messages().as_deref(),
            system: $input.get_system().as_deref(),
            tools: $input.get_tool_config().as_ref(),
            inference: $input.get_inference_config().as_ref(),
            additional: $input.get_additional_model_request_fields().as_ref(),
        })
    };
}

impl Converse {
    /// Sends it when and where the engine decides.
    ///
    /// # Errors
    /// The SDK's error of the last attempt; where the engine had the last word, a construction or time-out error whose
    /// source is [`NotSent`](super::NotSent).
    pub async fn send(self) -> Result<ConverseOutput, SdkError<ConverseError, HttpResponse>> {
        let input = &self.input;
        let asked = asked!(input);
        let model = input.get_model_id().as_deref();
        let plan = self.client.plan(model, &asked, &self.options).map_err(SdkError::construction_failure)?;
        let send = |client: SdkClient, target: String, cap: Option<u32>| {
            let mut input = input.clone().model_id(target);
            if let Some(cap) = cap {
                let own = input.get_inference_config().clone();
                let mut config = own.unwrap_or_else(|| types::InferenceConfiguration::builder().build());
                config.max_tokens = i32::try_from(cap).ok().or(config.max_tokens);
                input = input.inference_config(config);
            }
            (Exchange::default(), async move { input.send_with(&client).await })
        };
        let count = |tokens: i32| u64::try_from(tokens).unwrap_or(0);
        let read = |output: &ConverseOutput, _: &Exchange| Told {
            usage: output.usage().map(|usage| Usage {
                input: count(usage.input_tokens()),
                output: count(usage.output_tokens()),
                cache_read: count(usage.cache_read_input_tokens().unwrap_or(0)),
                cache_write: count(usage.cache_write_input_tokens().unwrap_or(0)),
            }),
            cut: *output.stop_reason() == types::StopReason::MaxTokens,
        };
        match self.client.drive(&plan, send, read).await {
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
        // What a lowered cap cut short could not be asked for again once it is handed out.
        let asked = Asked { can_lower: false, ..asked!(input) };
        let model = input.get_model_id().as_deref();
        let plan = self.client.plan(model, &asked, &self.options).map_err(SdkError::construction_failure)?;
        let send = |client: SdkClient, target: String| {
            let input = input.clone().model_id(target);
            async move { input.send_with(&client).await.map(|output| ((), output.stream)) }
        };
        let ((), stream) = self.client.open(plan, send).await?;
        Ok(ConverseStreamAnswer { stream })
    }
}

/// What a vendor's body asks for.
fn invoke_asked(model: Option<&str>, body: Option<&Blob>) -> Asked {
    Asked::of_body(model.unwrap_or_default(), body.map(AsRef::as_ref).unwrap_or_default(), Operation::InvokeModel)
}

impl InvokeModel {
    /// Sends it when and where the engine decides.
    ///
    /// # Errors
    /// As [`Converse::send`].
    pub async fn send(self) -> Result<InvokeModelOutput, SdkError<InvokeModelError, HttpResponse>> {
        let input = &self.input;
        let model = input.get_model_id().as_deref();
        let asked = invoke_asked(model, input.get_body().as_ref());
        let plan = self.client.plan(model, &asked, &self.options).map_err(SdkError::construction_failure)?;
        let send = |client: SdkClient, target: String, cap: Option<u32>| {
            let mut input = input.clone().model_id(target);
            if let (Some(cap), Some(body)) = (cap, input.get_body()) {
                let body = Blob::new(json::with_cap(body.as_ref(), Operation::InvokeModel, Some(cap)));
                input = input.body(body);
            }
            (Exchange::default(), async move { input.send_with(&client).await })
        };
        let read = |output: &InvokeModelOutput, exchange: &Exchange| json::told(output.body().as_ref(), exchange);
        match self.client.drive(&plan, send, read).await {
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
        let asked = Asked { can_lower: false, ..invoke_asked(model, input.get_body().as_ref()) };
        let plan = self.client.plan(model, &asked, &self.options).map_err(SdkError::construction_failure)?;
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
