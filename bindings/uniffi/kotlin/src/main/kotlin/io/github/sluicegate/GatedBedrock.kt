package io.github.sluicegate

import aws.sdk.kotlin.services.bedrockruntime.BedrockRuntimeClient
import aws.sdk.kotlin.services.bedrockruntime.model.ConverseRequest
import aws.sdk.kotlin.services.bedrockruntime.model.ConverseResponse
import aws.sdk.kotlin.services.bedrockruntime.model.ConverseStreamOutput
import aws.sdk.kotlin.services.bedrockruntime.model.ConverseStreamRequest
import aws.sdk.kotlin.services.bedrockruntime.model.ConverseStreamResponse
import aws.sdk.kotlin.services.bedrockruntime.model.InferenceConfiguration
import aws.sdk.kotlin.services.bedrockruntime.model.InvokeModelRequest
import aws.sdk.kotlin.services.bedrockruntime.model.InvokeModelResponse
import aws.sdk.kotlin.services.bedrockruntime.model.InvokeModelWithResponseStreamRequest
import aws.sdk.kotlin.services.bedrockruntime.model.InvokeModelWithResponseStreamResponse
import aws.sdk.kotlin.services.bedrockruntime.model.ResponseStream
import aws.sdk.kotlin.services.bedrockruntime.model.TokenUsage
import aws.sdk.kotlin.services.bedrockruntime.withConfig
import aws.smithy.kotlin.runtime.ServiceException
import aws.smithy.kotlin.runtime.http.HttpErrorCode
import aws.smithy.kotlin.runtime.http.HttpException
import aws.smithy.kotlin.runtime.http.response.HttpResponse
import java.util.concurrent.ConcurrentHashMap
import kotlinx.coroutines.withContext

/**
 * The AWS SDK's client with a gate in front: a [BedrockRuntimeClient] like any other, whose Converse, ConverseStream,
 * InvokeModel and InvokeModelWithResponseStream go through [gate]. Other operations pass as they are.
 *
 * `modelId` is the policy's name for the model. The SDK's own retries are off for what goes through the gate. A stream is
 * handed out with its first part of the answer: up to then an attempt can be repeated unnoticed.
 */
class GatedBedrock(
    private val client: BedrockRuntimeClient,
    /** The gate in front. */
    val gate: Gate,
    private val options: CallOptions = CallOptions(),
) : BedrockRuntimeClient by client {
    private val appraiser = Appraiser(gate.policy)
    private val inRegions = ConcurrentHashMap<String, BedrockRuntimeClient>()

    override suspend fun converse(input: ConverseRequest): ConverseResponse {
        val plan = plan(input.modelId, Operation.CONVERSE, stream = false) { it.converse(input) }
        return gate.run(plan) { attempt ->
            gate.made(::outcomeOfSdk) {
                val answer = at(attempt.endpoint).converse(
                    input.copy {
                        modelId = attempt.endpoint.target
                        attempt.maxTokens?.let { cap -> inferenceConfig = capped(input, cap) }
                    },
                )
                val told = """{"usage": ${json(answer.usage)}, "stopReason": "${answer.stopReason.value}"}"""
                Gate.Made(appraiser.answered(plan, attempt.endpointId, told.toByteArray(), emptyList()), Result.success(answer))
            }
        }
    }

    override suspend fun invokeModel(input: InvokeModelRequest): InvokeModelResponse {
        val plan = plan(input.modelId, Operation.INVOKE_MODEL, stream = false) { it.invokeModel(input) }
        return gate.run(plan) { attempt ->
            gate.made(::outcomeOfSdk) {
                val seen = Seen()
                val answer = withContext(seen) {
                    at(attempt.endpoint).invokeModel(
                        input.copy {
                            modelId = attempt.endpoint.target
                            attempt.maxTokens?.let { cap -> body = lowered(Operation.INVOKE_MODEL, input.body ?: ByteArray(0), cap) ?: input.body }
                        },
                    )
                }
                Gate.Made(appraiser.answered(plan, attempt.endpointId, answer.body, seen.headers), Result.success(answer))
            }
        }
    }

    override suspend fun <T> converseStream(input: ConverseStreamRequest, block: suspend (ConverseStreamResponse) -> T): T {
        val plan = plan(input.modelId, Operation.CONVERSE, stream = true) { it.converseStream(input) {} }
        val note: StreamWatch.(ConverseStreamOutput) -> Unit = { event -> takeEvent(json(event)) }
        return streamed(plan, Operation.CONVERSE, note) { client, endpoint, held ->
            client.converseStream(input.copy { modelId = endpoint.target }) { answer ->
                held.pass(answer.stream) { events -> block(answer.copy { stream = events }) }
            }
        }
    }

    override suspend fun <T> invokeModelWithResponseStream(
        input: InvokeModelWithResponseStreamRequest,
        block: suspend (InvokeModelWithResponseStreamResponse) -> T,
    ): T {
        val plan = plan(input.modelId, Operation.INVOKE_MODEL, stream = true) { it.invokeModelWithResponseStream(input) {} }
        val note: StreamWatch.(ResponseStream) -> Unit = { event -> event.asChunkOrNull()?.bytes?.let { takeChunk(it) } }
        return streamed(plan, Operation.INVOKE_MODEL, note) { client, endpoint, held ->
            client.invokeModelWithResponseStream(input.copy { modelId = endpoint.target }) { answer ->
                held.pass(answer.body) { events -> block(answer.copy { body = events }) }
            }
        }
    }

    /** Runs a call whose answer is a stream: [open] makes an attempt and passes its events through what it is given. */
    private suspend fun <E : Any, T> streamed(
        plan: Plan,
        operation: Operation,
        note: StreamWatch.(E) -> Unit,
        open: suspend (BedrockRuntimeClient, Endpoint, HeldStream<E>) -> T,
    ): T = gate.stream(plan) { attempt, report ->
        val watch = StreamWatch(operation)
        val held = HeldStream(watch, note) { end ->
            val outcome = when (end) {
                is StreamEnd.Broken -> failure(end.error, inStream = true, delivered = watch.delivers())
                else -> appraiser.streamed(plan, attempt.endpointId, watch, dropped = end is StreamEnd.Dropped)
            }
            outcome.also(report)
        }
        val made = gate.made({ error -> held.outcome ?: outcomeOfSdk(error) }) {
            val result = open(at(attempt.endpoint), attempt.endpoint, held)
            Gate.Made(held.outcome ?: outcomeOf(OutcomeClass.STREAM_BROKEN), Result.success(result))
        }
        Gate.Made(made.outcome, made.result, handed = watch.delivers())
    }

    private suspend fun plan(model: String?, operation: Operation, stream: Boolean, send: suspend (BedrockRuntimeClient) -> Any?): Plan =
        appraiser.plan(model.orEmpty(), operation, bodyOf { send(unsent) }, options, stream)

    /** Writes requests and sends none. */
    private val unsent by lazy { client.withConfig { interceptors += Unsent } }

    private fun at(endpoint: Endpoint): BedrockRuntimeClient = inRegions.computeIfAbsent(endpoint.region) { name ->
        client.withConfig {
            if (name.isNotEmpty()) region = name
            retryStrategy { maxAttempts = 1 }
            interceptors += SeeHeaders
        }
    }

    /** Puts another policy in force at the gate, without losing a call or what the answers have taught. */
    fun reconfigure(policy: Policy) {
        appraiser.reconfigure(policy)
        gate.reconfigure(policy)
    }

    /** Closes the client. The gate stays open. */
    override fun close() {
        inRegions.values.forEach { it.close() }
        client.close()
    }
}

/** The report on an attempt that ended with this exception of the SDK, or of anything else. */
fun outcomeOfSdk(error: Throwable): Outcome = failure(error, inStream = false, delivered = false)

private fun failure(error: Throwable, inStream: Boolean, delivered: Boolean): Outcome {
    val failure = when (error) {
        is ServiceException -> {
            val about = error.sdkErrorMetadata
            val http = about.protocolResponse as? HttpResponse
            val headers = http?.headers?.entries().orEmpty().flatMap { (name, values) -> values.map { Header(name, it) } }
            Failure(
                FailedAt.RESPONSE, code = about.errorCode ?: error::class.simpleName, text = error.message, headers = headers,
                status = http?.status?.value?.toUShort().takeUnless { inStream }, inStream = inStream, delivered = delivered,
            )
        }
        is HttpException -> {
            val at = when (error.errorCode) {
                HttpErrorCode.CONNECT_TIMEOUT, HttpErrorCode.CONNECTION_ACQUIRE_TIMEOUT, HttpErrorCode.TLS_NEGOTIATION_TIMEOUT,
                HttpErrorCode.TLS_NEGOTIATION_ERROR,
                -> FailedAt.CONNECT
                HttpErrorCode.SOCKET_TIMEOUT -> FailedAt.TIMEOUT
                else -> FailedAt.IO
            }
            Failure(at, text = error.message, inStream = inStream, delivered = delivered)
        }
        // Whatever ends a stream is its connection's doing, if the service has not said otherwise.
        else -> if (inStream) Failure(FailedAt.IO, text = error.message, inStream = true, delivered = delivered) else return outcomeOf(error)
    }
    return classify(failure, wallClock())
}

private fun capped(input: ConverseRequest, cap: UInt): InferenceConfiguration =
    input.inferenceConfig?.copy { maxTokens = cap.toInt() } ?: InferenceConfiguration { maxTokens = cap.toInt() }

private fun json(usage: TokenUsage?): String {
    if (usage == null) return "null"
    val fields = listOf(
        "inputTokens" to usage.inputTokens, "outputTokens" to usage.outputTokens,
        "cacheReadInputTokens" to usage.cacheReadInputTokens, "cacheWriteInputTokens" to usage.cacheWriteInputTokens,
    )
    return fields.filter { it.second != null }.joinToString(",", "{", "}") { (name, count) -> "\"$name\":$count" }
}

/** As much of an event as matters: its name, and what was used. */
private fun json(event: ConverseStreamOutput): String = when (event) {
    is ConverseStreamOutput.MessageStart -> """{"messageStart":{}}"""
    is ConverseStreamOutput.ContentBlockStart -> """{"contentBlockStart":{}}"""
    is ConverseStreamOutput.ContentBlockDelta -> """{"contentBlockDelta":{}}"""
    is ConverseStreamOutput.ContentBlockStop -> """{"contentBlockStop":{}}"""
    is ConverseStreamOutput.MessageStop -> """{"messageStop":{}}"""
    is ConverseStreamOutput.Metadata -> """{"metadata":{"usage":${json(event.value.usage)}}}"""
    is ConverseStreamOutput.SdkUnknown -> "{}"
}
