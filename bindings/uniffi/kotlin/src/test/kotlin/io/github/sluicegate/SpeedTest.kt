package io.github.sluicegate

import java.lang.management.ManagementFactory
import org.junit.jupiter.api.Assertions.assertInstanceOf
import org.junit.jupiter.api.Test

/** What a decision costs across the border, in this thread's time on a processor; prints, and judges nothing. */
class SpeedTest {
    private val policy = Policy.fromJson("""{"pools": {"p": {}}, "endpoints": {"e": {"model": "m", "pools": ["p"]}}}""")

    @Test
    fun aCallOverTheDesk() {
        val desk = Desk(policy, DAY, 1uL)
        var now = DAY
        val rounds = { count: Int ->
            repeat(count) {
                now++
                val call = desk.submitTokens(now, 0u, 10uL)
                val turn = assertInstanceOf(Turn.Send::class.java, desk.turn(call))
                desk.reportSuccess(now, call, turn.attempt.id, 10uL)
                desk.leave(now, call)
                desk.news()
            }
        }
        rounds(WARM)
        println("speed: a call over the desk ${nanos { rounds(ROUNDS) } / ROUNDS} ns")
    }

    @Test
    fun decisionsOneByOneAndInBatches() {
        val rng = Rng(1uL)
        var call = 0uL
        fun submits(count: Int) = List(count) { TimedInput(DAY, Input.Submit(Call(call++, 0u, 10uL))) }
        val single = { count: Int ->
            val engine = Engine(policy, DAY)
            for (input in submits(count)) {
                engine.handle(input.at, input.input, rng)
                engine.pollDecision()
            }
        }
        single(WARM)
        println("speed: a decision ${nanos { single(ROUNDS) } / ROUNDS} ns")
        val batch = { count: Int -> Engine(policy, DAY).handleAll(submits(count), rng).decisions.size }
        repeat(WARM / 100) { batch(100) }
        println("speed: a decision in batches of 100 ${nanos { repeat(ROUNDS / 100) { batch(100) } } / ROUNDS} ns")
    }

    private fun nanos(work: () -> Unit): Long {
        val threads = ManagementFactory.getThreadMXBean()
        val before = threads.currentThreadCpuTime
        work()
        return threads.currentThreadCpuTime - before
    }

    private companion object {
        const val DAY = 86_400_000_000uL
        const val WARM = 20_000
        const val ROUNDS = 20_000
    }
}
