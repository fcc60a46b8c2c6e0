package io.github.sluicegate

import java.util.stream.LongStream
import kotlin.time.Duration.Companion.microseconds
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.async
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.supervisorScope
import kotlinx.coroutines.yield
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertInstanceOf
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

/** What cannot be is said in a typed exception, whoever asks, and never ends the host. */
class MisuseTest {
    private fun policy(pool: String = "") =
        Policy.fromJson("""{"pools": {"p": {$pool}}, "endpoints": {"e": {"model": "m", "pools": ["p"]}}}""")

    private fun code(act: () -> Unit): String = assertThrows(InputException::class.java, act).code()

    @Test
    fun everyFaultOfAPolicyHasACodeAndAPointer() {
        val text = """{"pools": {"p": {"requests_per_minute": -1}}, "endpoints": {"e": {"model": "m", "pools": ["q"]}}, "more": 1}"""
        val faults = assertThrows(PolicyException.Faulty::class.java) { Policy.fromJson(text) }.faults
        val pointers = faults.map { it.pointer }
        assertTrue(pointers.containsAll(listOf("/pools/p/requests_per_minute", "/endpoints/e/pools/0", "/more")), "$faults")
        assertTrue(faults.all { it.code.isNotEmpty() && it.message.isNotEmpty() })
        for (wrong in listOf("", "{", "[]", "null", "\u0000", """{"pools": 1e999}""", "[".repeat(100_000))) {
            assertThrows(PolicyException::class.java) { Policy.fromJson(wrong) }
            assertThrows(SnapshotException::class.java) { Gate(policy(), restore = wrong) }
        }
        // Half a character is none in Rust; it is stopped before.
        assertThrows(CharacterCodingException::class.java) { Policy.fromJson("\ud800") }
        val limiter = assertThrows(PolicyException.Faulty::class.java) { Limiter("""{"requests_per_minute": 0}""", DAY) }
        assertEquals(listOf("/requests_per_minute"), limiter.faults.map { it.pointer })
    }

    @Test
    fun aRequestThatCannotBeIsRefused() {
        val gate = Gate(policy())
        val wrong = listOf(
            Request("m", tokens = -1), Request("m", deadline = (-1).seconds), Request("m", deadline = (-1).microseconds),
            Request("m", priority = 256), Request("m", priority = -1), Request("m", maxTokens = -1),
        )
        for (request in wrong) assertEquals("out_of_range", code { runBlocking { gate.run(request) {} } }, "$request")
        assertEquals("unknown_model", code { runBlocking { gate.run(Request("nobody")) {} } })
        assertEquals("out_of_range", code { Gate(policy(), restore = gate.snapshot(), asleep = (-1).seconds) })
    }

    @Test
    fun whatIsClosedLetsNobodyInAndWhatIsOutGoesOn() = runBlocking {
        val gate = Gate(policy(""""concurrency": 1"""))
        val release = CompletableDeferred<Unit>()
        supervisorScope {
            val out = async { gate.run(Request("m")) { release.await() } }
            while (gate.inFlight == 0L) yield()
            val waits = async { gate.run(Request("m")) {} }
            while (gate.waiting == 0L) yield()
            gate.close()
            gate.close()
            val ended = runCatching { waits.await() }.exceptionOrNull()
            assertEquals(EndReason.Cancelled, assertInstanceOf(CallEnded::class.java, ended).reason)
            assertInstanceOf(InputException.Closed::class.java, runCatching { gate.run(Request("m")) {} }.exceptionOrNull())
            release.complete(Unit)
            out.await()
        }
        assertEquals(0L to 0L, gate.inFlight to gate.waiting)
    }

    @Test
    fun objectsThatAreDestroyedSaySo() {
        val engine = Engine(policy(), ULong.MAX_VALUE)
        engine.handle(0uL, Input.Wake, Rng(1uL))
        val desk = Desk(policy(), DAY, 1uL)
        for (thing in listOf(engine, desk)) repeat(2) { thing.close() }
        assertThrows(IllegalStateException::class.java) { engine.waiting() }
        assertThrows(IllegalStateException::class.java) { desk.submitTokens(DAY, 0u, 1uL) }
        assertEquals("0.1.0", version())
    }

    @Test
    fun anAttemptIsReportedOnceAndAPermitSettledOnce() {
        val done = outcomeOf(OutcomeClass.SUCCESS)
        val desk = Desk(policy(), DAY, 1uL)
        val call = desk.submitTokens(DAY, 0u, 1uL)
        val attempt = assertInstanceOf(Turn.Send::class.java, desk.turn(call)).attempt.id
        assertEquals("unknown_attempt", code { desk.report(DAY, call, attempt + 1u, done) })
        desk.report(DAY, call, attempt, done)
        assertEquals("unknown_attempt", code { desk.report(DAY, call, attempt, done) })
        assertEquals("unknown_call", code { desk.report(DAY, 99uL, 0uL, done) })
        assertEquals("unknown_model", code { desk.submitTokens(DAY, 9u, 1uL) })

        val (engine, rng) = Engine(policy(), DAY) to Rng(1uL)
        val submit = Input.Submit(Call(1uL, 0u, 1uL))
        engine.handle(DAY, submit, rng)
        assertEquals("duplicate_call", code { engine.handle(DAY, submit, rng) })
        assertEquals("unknown_attempt", code { engine.handle(DAY, Input.Report(9uL, done), rng) })
        // Time that goes back, and the last one there is.
        for (now in listOf(0uL, ULong.MAX_VALUE, 1uL)) engine.handle(now, Input.Wake, rng)

        val limiter = Limiter("""{"requests_per_minute": 60}""", DAY)
        val permit = assertInstanceOf(Admission.Granted::class.java, limiter.acquire(DAY, 10uL)).permit
        limiter.settle(DAY, permit, Spent.Tokens(9uL))
        assertEquals("permit_settled", code { limiter.settle(DAY, permit, Spent.NeverSent) })
    }

    @Test
    fun handlesServeManyThreads() {
        val (desk, engine, rng) = Triple(Desk(policy(), DAY, 1uL), Engine(policy(), DAY), Rng(1uL))
        LongStream.range(0, 2_000).parallel().forEach { round ->
            val now = DAY + round.toULong()
            val call = desk.submitTokens(now, 0u, 1uL)
            (desk.turn(call) as? Turn.Send)?.let { desk.reportSuccess(now, call, it.attempt.id, 1uL) }
            desk.leave(now, call)
            desk.news()
            engine.handle(now, Input.Submit(Call(round.toULong(), 0u, 1uL)), rng)
            engine.pollDecision()
        }
        assertEquals(0uL to 0uL, desk.waiting() to desk.inFlight())
        assertEquals(2_000uL, engine.waiting() + engine.inFlight())
    }

    private companion object {
        const val DAY = 86_400_000_000uL
    }
}
