package io.github.sluicegate

import java.io.IOException
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.ExperimentalCoroutinesApi
import kotlinx.coroutines.Job
import kotlinx.coroutines.async
import kotlinx.coroutines.awaitAll
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.take
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.launch
import kotlinx.coroutines.test.StandardTestDispatcher
import kotlinx.coroutines.test.TestScope
import kotlinx.coroutines.test.currentTime
import kotlinx.coroutines.test.runCurrent
import kotlinx.coroutines.test.runTest
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertInstanceOf
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

/** The gate in virtual time: nothing here sleeps. */
@OptIn(ExperimentalCoroutinesApi::class)
class GateTest {
    private fun TestScope.gate(pool: String = """"requests_per_minute": 60""", more: String = ""): Gate {
        val policy = """{"pools": {"p": {$pool}}, "endpoints": {"e": {"model": "m", "pools": ["p"]}}$more}"""
        val clock = Gate.Clock { DAY + currentTime.toULong() * 1_000u }
        return Gate(Policy.fromJson(policy), null, 0.seconds, 7uL, clock, StandardTestDispatcher(testScheduler))
    }

    @Test
    fun callsComeOneByOneAsThePoolRefills() = runTest {
        val gate = gate()
        val times = (1..5).map { async { gate.run(Request("m")) { currentTime } } }.awaitAll().sorted()
        assertTrue(times.zipWithNext().count { (one, next) -> next - one >= 900 } >= 3, "$times")
        assertEquals(0L to 0L, gate.waiting to gate.inFlight)
    }

    @Test
    fun cancellingHalfOfAThousandLosesNoPermit() = runTest {
        val gate = gate(""""concurrency": 100""")
        val release = CompletableDeferred<Unit>()
        val jobs = List(1_000) { launch { gate.run(Request("m")) { release.await() } } }
        runCurrent()
        val out = gate.inFlight
        assertTrue(out in 1..100 && out + gate.waiting == 1_000L, "$out out, ${gate.waiting} waiting")
        jobs.filterIndexed { index, _ -> index % 2 == 0 }.forEach(Job::cancel)
        runCurrent()
        assertEquals(500L, gate.inFlight + gate.waiting)
        release.complete(Unit)
        jobs.forEach { it.join() }
        assertEquals(500, jobs.count { it.isCancelled })
        assertEquals(0L to 0L, gate.inFlight to gate.waiting)
    }

    @Test
    fun failuresAreTriedAgainAndTheLastOneIsThrown() = runTest {
        val gate = gate(more = """, "retry": {"max_attempts": 2}""")
        var attempts = 0
        val answer = gate.run(Request("m")) { if (++attempts == 1) throw IOException("cut") else "an answer" }
        assertEquals("an answer" to 2, answer to attempts)
        val thrown = runCatching { gate.run(Request("m")) { throw IllegalStateException("mine") } }.exceptionOrNull()
        assertEquals("mine", assertInstanceOf(IllegalStateException::class.java, thrown).message)
    }

    @Test
    fun aCallThatCannotMakeItsDeadlineEndsWithTheReason() = runTest {
        val gate = gate(""""requests_per_minute": 1""")
        gate.run(Request("m")) {}
        val ended = runCatching { gate.run(Request("m", deadline = 2.seconds)) {} }.exceptionOrNull()
        val reason = assertInstanceOf(CallEnded::class.java, ended).reason
        assertTrue(reason is EndReason.Refused || reason is EndReason.Expired, "$reason")
    }

    @Test
    fun eventsFlowToEachCollector() = runTest {
        val gate = gate()
        val seen = async { gate.events().take(3).toList() }
        runCurrent()
        gate.run(Request("m")) {}
        assertEquals(listOf("Sent", "Settled", "Ended"), seen.await().map { it.event::class.simpleName })
    }

    @Test
    fun aSlowAttemptIsHedgedWhereThePolicySaysSo() = runTest {
        val policy = Policy.fromJson(
            """{"pools": {"p": {}, "q": {}}, "hedge": {"after_permille": 900, "share_permille": 1000},
            "endpoints": {"e": {"model": "m", "pools": ["p"]}, "f": {"model": "m", "pools": ["q"]}}}""",
        )
        val known = """{"endpoints": {"e": {"service_times": {"all": [[79, 60]]}}, "f": {"service_times": {"all": [[79, 60]]}}}, "version": 1}"""
        val clock = Gate.Clock { DAY + currentTime.toULong() * 1_000u }
        val gate = Gate(policy, known, 0.seconds, 7uL, clock, StandardTestDispatcher(testScheduler))
        val cancelled = Channel<ULong>(Channel.UNLIMITED)
        val first = CompletableDeferred<Attempt>()
        val answer = gate.run(Request("m")) { attempt ->
            if (first.complete(attempt)) {
                try {
                    delay(60.seconds)
                } finally {
                    cancelled.trySend(attempt.id)
                }
            }
            attempt.endpoint.name
        }
        assertTrue(answer != first.await().endpoint.name)
        assertEquals(first.await().id, cancelled.receive())
        assertEquals(0L, gate.inFlight)
    }

    @Test
    fun aSnapshotGoesOnInAnotherGate() = runTest {
        val gate = gate()
        gate.run(Request("m")) {}
        val again = Gate(gate.policy, restore = gate.snapshot(), asleep = 5.milliseconds)
        assertEquals("m", again.policy.models().single())
    }

    private companion object {
        const val DAY = 86_400_000_000uL
    }
}
