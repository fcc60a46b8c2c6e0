package io.github.sluicegate

import aws.sdk.kotlin.services.bedrockruntime.BedrockRuntimeClient
import aws.sdk.kotlin.services.bedrockruntime.model.BedrockRuntimeException
import aws.sdk.kotlin.services.bedrockruntime.model.ContentBlock
import aws.sdk.kotlin.services.bedrockruntime.model.ConversationRole
import aws.sdk.kotlin.services.bedrockruntime.model.ConverseRequest
import aws.sdk.kotlin.services.bedrockruntime.model.ConverseStreamOutput
import aws.sdk.kotlin.services.bedrockruntime.model.ConverseStreamRequest
import aws.sdk.kotlin.services.bedrockruntime.model.InvokeModelRequest
import aws.sdk.kotlin.services.bedrockruntime.model.Message
import aws.smithy.kotlin.runtime.auth.awscredentials.Credentials
import aws.smithy.kotlin.runtime.auth.awscredentials.CredentialsProvider
import aws.smithy.kotlin.runtime.collections.Attributes
import aws.smithy.kotlin.runtime.net.url.Url
import kotlinx.coroutines.async
import kotlinx.coroutines.awaitAll
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertInstanceOf
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

/** The real SDK against the embedded fake. */
class AwsSdkTest {
    private val messages = listOf(Message { role = ConversationRole.User; content = listOf(ContentBlock.Text("Hello")) })

    private fun gated(key: String = "local", test: suspend (GatedBedrock, Fake) -> Unit) {
        val lanes = listOf("us-east-1", "us-west-2").joinToString(",") {
            """{"region": "$it", "model": "us.$MODEL", "requests_per_minute": 600, "first_token_us": 10000, "tokens_per_second": 5000}"""
        }
        val policy = Policy.fromJson(
            """{"pools": {"e": {"requests_per_minute": 600}, "w": {"requests_per_minute": 600}}, "endpoints": {
            "e": {"model": "$MODEL", "target": "us.$MODEL", "region": "us-east-1", "pools": ["e"]},
            "w": {"model": "$MODEL", "target": "us.$MODEL", "region": "us-west-2", "pools": ["w"]}}}""",
        )
        Fake("""{"lanes": [$lanes]}""").use { fake ->
            val client = BedrockRuntimeClient {
                region = "eu-central-1"
                endpointUrl = Url.parse(fake.url)
                credentialsProvider = object : CredentialsProvider {
                    override suspend fun resolve(attributes: Attributes) = Credentials(key, "secret")
                }
            }
            Gate(policy).use { gate -> GatedBedrock(client, gate).use { runBlocking { test(it, fake) } } }
        }
    }

    @Test
    fun callsGoToTheEndpointsOfThePolicy() = gated { client, fake ->
        val answers = runBlocking {
            List(20) { async { client.converse(ConverseRequest { modelId = MODEL; messages = this@AwsSdkTest.messages; inferenceConfig { maxTokens = 50 } }) } }.awaitAll()
        }
        assertTrue(answers.all { (it.usage?.outputTokens ?: 0) > 0 })
        client.reconfigure(Policy.fromJson("""{"pools": {"w": {}}, "endpoints": {"w": {"model": "$MODEL", "target": "us.$MODEL", "region": "us-west-2", "pools": ["w"]}}}"""))
        val body = """{"anthropic_version": "bedrock-2023-05-31", "max_tokens": 50, "messages": [{"role": "user", "content": "Hello"}]}"""
        val invoked = client.invokeModel(InvokeModelRequest { modelId = MODEL; this.body = body.toByteArray() })
        assertTrue(invoked.body.isNotEmpty())
        val totals = fake.totals()
        assertEquals(21L to 21L, totals["attempts"] to totals["completed"])
        assertEquals(0L to 0L, client.gate.inFlight to client.gate.waiting)
    }

    @Test
    fun aStreamIsHandedOutWhole() = gated { client, fake ->
        val request = ConverseStreamRequest { modelId = MODEL; messages = this@AwsSdkTest.messages; inferenceConfig { maxTokens = 50 } }
        val events = client.converseStream(request) { it.stream!!.toList() }
        assertInstanceOf(ConverseStreamOutput.MessageStart::class.java, events.first())
        assertInstanceOf(ConverseStreamOutput.Metadata::class.java, events.last())
        val thrown = runCatching { client.converseStream(request) { throw IllegalStateException("mine") } }.exceptionOrNull()
        assertEquals("mine", thrown?.message)
        assertEquals(2L, fake.totals()["attempts"])
        assertEquals(0L to 0L, client.gate.inFlight to client.gate.waiting)
    }

    @Test
    fun theSdksOwnErrorIsThrownAfterOneAttempt() = gated("AKIAINVALIDKEY") { client, _ ->
        val request = ConverseRequest { modelId = MODEL; messages = this@AwsSdkTest.messages }
        assertInstanceOf(BedrockRuntimeException::class.java, runCatching { client.converse(request) }.exceptionOrNull())
        val unknown = runCatching { client.converse(request.copy { modelId = "unheard.of" }) }.exceptionOrNull()
        assertEquals("unknown_model", assertInstanceOf(InputException::class.java, unknown).code())
    }

    private companion object {
        const val MODEL = "anthropic.claude-sonnet-4-6"
    }
}
