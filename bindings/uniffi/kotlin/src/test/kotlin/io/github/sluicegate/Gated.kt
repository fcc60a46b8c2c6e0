package io.github.sluicegate

import aws.sdk.kotlin.services.bedrockruntime.BedrockRuntimeClient
import aws.sdk.kotlin.services.bedrockruntime.model.ContentBlock
import aws.sdk.kotlin.services.bedrockruntime.model.ConversationRole
import aws.sdk.kotlin.services.bedrockruntime.model.ConverseRequest
import aws.sdk.kotlin.services.bedrockruntime.model.ConverseStreamRequest
import aws.sdk.kotlin.services.bedrockruntime.model.InvokeModelRequest
import aws.sdk.kotlin.services.bedrockruntime.model.InvokeModelWithResponseStreamRequest
import aws.sdk.kotlin.services.bedrockruntime.model.Message
import aws.smithy.kotlin.runtime.auth.awscredentials.Credentials
import aws.smithy.kotlin.runtime.auth.awscredentials.CredentialsProvider
import aws.smithy.kotlin.runtime.collections.Attributes
import aws.smithy.kotlin.runtime.net.url.Url
import kotlinx.coroutines.flow.collect
import kotlinx.coroutines.runBlocking

/** The real SDK behind a gate, against the embedded fake. */
internal class Gated(lanes: List<String>, more: String = "", private val key: String = "local") : AutoCloseable {
    val fake = Fake("""{"lanes": [${lanes.joinToString(",")}]}""")
    private val regions = REGIONS.take(lanes.size)
    val gate = Gate(policy(regions, more), seed = 1uL)
    val client = GatedBedrock(
        BedrockRuntimeClient {
            region = "eu-central-1"
            endpointUrl = Url.parse(fake.url)
            credentialsProvider = object : CredentialsProvider {
                override suspend fun resolve(attributes: Attributes) = Credentials(key, "secret")
            }
        },
        gate,
    )

    /** Nothing is out any more, nothing waits. */
    val settled: Boolean get() = gate.inFlight == 0L && gate.waiting == 0L

    override fun close() {
        client.close()
        gate.close()
        fake.close()
    }

    companion object {
        const val MODEL = "anthropic.claude-sonnet-4-6"
        val REGIONS = listOf("us-east-1", "us-west-2")

        /** In the place of a quota that binds. */
        const val ENOUGH = 100_000

        /** A lane that answers at once. */
        fun lane(place: Int, more: String = ""): String = """{"region": "${REGIONS[place]}", "model": "us.$MODEL",
            "requests_per_minute": $ENOUGH, "first_token_us": 1000, "per_input_token_ns": 0, "output_multiplier": 5
            ${if ("tokens_per_second" in more) "" else ", \"tokens_per_second\": 1000000"}${if (more.isEmpty()) "" else ", $more"}}"""

        /** What always goes wrong. */
        fun always(effect: String) = """"faults": [{"from_us": 0, "to_us": 4503599627370496, "effect": {$effect, "share_permille": 1000}}}]"""

        fun refusing(error: String) = always(""""error": {"error": "$error"""")

        fun breaking(error: String, after: Int) = always(""""stream_error": {"error": "$error", "after_output_tokens": $after""")

        fun policy(regions: List<String>, more: String = "") = Policy.fromJson(
            """{"pools": {${regions.joinToString(",") { "\"$it\": {\"requests_per_minute\": $ENOUGH}" }}},
            "endpoints": {${regions.joinToString(",") { "\"$it\": {\"model\": \"claude\", \"target\": \"us.$MODEL\", \"region\": \"$it\", \"pools\": [\"$it\"]}" }}}
            ${if (more.isEmpty()) "" else ", $more"}}""",
        )

        /** Tries again at once. */
        val IMPATIENT = listOf("overloaded", "not_ready", "other").joinToString(", ", """"retry": {""", "}") { """"$it": {"base_ms": 1, "cap_ms": 1}""" }
        const val ONCE = """"retry": {"max_attempts": 1}"""

        val messages = listOf(Message { role = ConversationRole.User; content = listOf(ContentBlock.Text("Hello")) })

        fun asking(most: Int = 99) = ConverseRequest { modelId = "claude"; messages = Gated.messages; inferenceConfig { maxTokens = most } }

        fun body(most: Int = 99) =
            """{"anthropic_version": "bedrock-2023-05-31", "max_tokens": $most, "messages": [{"role": "user", "content": "Hello"}]}""".toByteArray()

        fun invoking(most: Int = 99) = InvokeModelRequest { modelId = "claude"; body = body(most) }

        val streaming = ConverseStreamRequest { modelId = "claude"; messages = Gated.messages; inferenceConfig { maxTokens = 99 } }
        val invokingStream = InvokeModelWithResponseStreamRequest { modelId = "claude"; body = body() }
    }
}

/** The four operations, by what each needs to be called and read to its end. */
internal enum class Asked(val streams: Boolean, val call: suspend (GatedBedrock, suspend (Any) -> Unit) -> Unit) {
    CONVERSE(false, { client, each -> each(client.converse(Gated.asking())) }),
    INVOKE(false, { client, each -> each(client.invokeModel(Gated.invoking())) }),
    CONVERSE_STREAM(true, { client, each -> client.converseStream(Gated.streaming) { answer -> answer.stream!!.collect { each(it) } } }),
    INVOKE_STREAM(true, { client, each -> client.invokeModelWithResponseStream(Gated.invokingStream) { answer -> answer.body!!.collect { each(it) } } }),
    ;

    suspend fun read(client: GatedBedrock): List<Any> = buildList { call(client) { add(it) } }
}

internal fun gated(vararg lanes: String, more: String = "", key: String = "local", test: suspend Gated.() -> Unit) =
    Gated(lanes.toList(), more, key).use { runBlocking { it.test() } }
