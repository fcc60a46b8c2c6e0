package io.github.sluicegate

import aws.sdk.kotlin.services.bedrockruntime.model.ConverseStreamOutput
import aws.sdk.kotlin.services.bedrockruntime.model.ModelStreamErrorException
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.async
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.flow.collect
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.transformWhile
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.launch
import kotlinx.coroutines.yield
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertInstanceOf
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.params.ParameterizedTest
import org.junit.jupiter.params.provider.EnumSource

/** Streams of the SDK: held back until they carry something, settled at their end. */
internal class AwsSdkStreamTest {
    @ParameterizedTest
    @EnumSource(names = ["CONVERSE_STREAM", "INVOKE_STREAM"])
    fun aStreamIsHandedOutWholeAndSettledByItsUsage(asked: Asked) = gated(Gated.lane(0)) {
        coroutineScope {
            val settled = async(start = CoroutineStart.UNDISPATCHED) {
                gate.events().transformWhile { emit(it.event); it.event !is Event.Ended }.toList().filterIsInstance<Event.Settled>().single()
            }
            val events = asked.read(client)
            assertTrue(events.size > 3)
            if (asked == Asked.CONVERSE_STREAM) {
                assertInstanceOf(ConverseStreamOutput.MessageStart::class.java, events.first())
                assertInstanceOf(ConverseStreamOutput.Metadata::class.java, events.last())
            }
            // Each output token counts five times.
            assertEquals(OutcomeClass.SUCCESS to fake.totals()["tokens_settled"], settled.await().let { it.outcomeClass to it.spentTokens.toLong() })
        }
    }

    @Test
    fun aStreamIsSettledWithItsLastEventAndNotWithItsReader() = gated(Gated.lane(0)) {
        client.converseStream(Gated.streaming) { answer ->
            answer.stream!!.collect {}
            assertEquals(0L, gate.inFlight)
        }
    }

    @ParameterizedTest
    @EnumSource(names = ["CONVERSE_STREAM", "INVOKE_STREAM"])
    fun whatIsThrottledInTheStreamBeforeTheAnswerBeginsIsTriedAgainUnnoticed(asked: Asked) =
        gated(Gated.lane(0, Gated.breaking("requests_per_minute", 0)), Gated.lane(1), more = Gated.IMPATIENT) {
            repeat(10) { assertTrue(asked.read(client).size > 3) }
            val (east, west) = fake.lanes()
            assertTrue(east.getValue("failed") >= 1, "$east")
            assertEquals(10L, west["completed"])
            assertTrue(settled)
        }

    @ParameterizedTest
    @EnumSource(names = ["CONVERSE_STREAM", "INVOKE_STREAM"])
    fun whatBreaksMidwayIsThrownWhereItBreaksAndNotTriedAgain(asked: Asked) =
        gated(Gated.lane(0, Gated.breaking("model_stream_error", 20)), more = Gated.IMPATIENT) {
            val seen = ArrayList<Any>()
            val thrown = runCatching { asked.call(client) { seen += it } }.exceptionOrNull()
            assertInstanceOf(ModelStreamErrorException::class.java, thrown)
            assertTrue(seen.size > 2, "$seen")
            assertEquals(1L, fake.totals()["attempts"])
            // Whoever catches it keeps what came before.
            val kept = client.converseStream(Gated.streaming) { answer -> runCatching { answer.stream!!.collect {} }.isFailure }
            assertTrue(kept && settled)
        }

    @Test
    fun whoeverReadsNoFurtherKeepsWhatWasRead() = gated(Gated.lane(0)) {
        assertInstanceOf(ConverseStreamOutput.MessageStart::class.java, client.converseStream(Gated.streaming) { it.stream!!.first() })
        val thrown = runCatching { client.converseStream(Gated.streaming) { throw IllegalStateException("mine") } }.exceptionOrNull()
        assertEquals("mine", thrown?.message)
        assertEquals(2L, fake.totals()["attempts"])
        assertTrue(settled)
    }

    @ParameterizedTest
    @EnumSource(names = ["CONVERSE_STREAM", "INVOKE_STREAM"])
    fun cancellingInTheMidstOfAStreamSettlesIt(asked: Asked) = gated(Gated.lane(0, """"tokens_per_second": 8""")) {
        coroutineScope {
            val begun = CompletableDeferred<Unit>()
            val reading = launch { asked.call(client) { begun.complete(Unit) } }
            begun.await()
            assertEquals(1L, gate.inFlight)
            reading.cancelAndJoin()
        }
        assertTrue(settled)
        while (fake.totals()["abandoned"] != 1L) yield()
    }
}
