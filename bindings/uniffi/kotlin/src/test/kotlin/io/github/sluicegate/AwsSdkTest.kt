package io.github.sluicegate

import aws.sdk.kotlin.services.bedrockruntime.model.BedrockRuntimeException
import aws.sdk.kotlin.services.bedrockruntime.model.ServiceUnavailableException
import aws.sdk.kotlin.services.bedrockruntime.model.StopReason
import kotlinx.coroutines.async
import kotlinx.coroutines.awaitAll
import kotlinx.coroutines.coroutineScope
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertInstanceOf
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.params.ParameterizedTest
import org.junit.jupiter.params.provider.EnumSource

/** The SDK's operations through the gate. */
internal class AwsSdkTest {
    @Test
    fun callsGoToTheEndpointsOfThePolicy() = gated(Gated.lane(0), Gated.lane(1)) {
        val answers = coroutineScope { List(20) { async { client.converse(Gated.asking()) } }.awaitAll() }
        assertTrue(answers.all { (it.usage?.outputTokens ?: 0) > 0 })
        val lanes = fake.lanes().map { it.getValue("completed") }
        assertTrue(lanes.sum() == 20L && lanes.all { it > 0 }, "both Regions serve: $lanes")

        client.reconfigure(Gated.policy(Gated.REGIONS.takeLast(1)))
        repeat(5) { assertTrue(client.invokeModel(Gated.invoking()).body.isNotEmpty()) }
        assertEquals(listOf(lanes[0], lanes[1] + 5), fake.lanes().map { it["attempts"] })
        assertTrue(settled)
    }

    @ParameterizedTest
    @EnumSource
    fun theSdkItselfNeverTriesAgain(asked: Asked) = gated(Gated.lane(0, Gated.refusing("temporarily_unavailable")), more = Gated.ONCE) {
        assertInstanceOf(ServiceUnavailableException::class.java, runCatching { asked.read(client) }.exceptionOrNull())
        assertEquals(1L, fake.totals()["attempts"])
        assertTrue(settled)
    }

    @ParameterizedTest
    @EnumSource
    fun whatOneRegionThrottlesAnotherOneAnswers(asked: Asked) =
        gated(Gated.lane(0, Gated.refusing("requests_per_minute")), Gated.lane(1), more = Gated.IMPATIENT) {
            repeat(10) { assertTrue(asked.read(client).isNotEmpty()) }
            val (east, west) = fake.lanes()
            assertTrue(east.getValue("refused_quota") >= 1, "$east")
            assertEquals(listOf(10L, 10L), listOf(west["attempts"], west["completed"]))
            assertTrue(settled)
        }

    @Test
    fun aLoweredCapReachesTheServiceAndIsLiftedForAnAnswerThatItCutsShort() =
        gated(Gated.lane(0), more = """"output_cap": {"clamp": true, "minimum_answers": 100}""") {
            suspend fun ask(wants: Int) = client.converse(Gated.asking(4_000).copy { requestMetadata = mapOf("sluicegate-output-tokens" to "$wants") })
            suspend fun reserved(ask: suspend () -> Unit): Long {
                val before = fake.totals().getValue("tokens_reserved")
                ask()
                return fake.totals().getValue("tokens_reserved") - before
            }
            assertTrue(reserved { ask(50) } >= 4_000)
            repeat(100) { ask(50) }
            assertTrue(reserved { ask(50) } < 500)
            // In the model's own form as well; what is longer than the cap is asked for again with its own.
            val invoked = reserved { client.invokeModel(Gated.invoking(4_000)) }
            assertTrue(invoked < 500 || invoked > 4_050, "$invoked")
            assertTrue(reserved { assertEquals(StopReason.EndTurn, ask(2_000).stopReason) } in 4_050..5_999)
        }

    @Test
    fun theSdksOwnErrorsAreThrown() = gated(Gated.lane(0), key = "AKIAINVALIDKEY") {
        assertInstanceOf(BedrockRuntimeException::class.java, runCatching { client.converse(Gated.asking()) }.exceptionOrNull())
        val unknown = runCatching { client.converse(Gated.asking().copy { modelId = "unheard.of" }) }.exceptionOrNull()
        assertEquals("unknown_model", assertInstanceOf(InputException::class.java, unknown).code())
        assertTrue(settled)
    }
}
