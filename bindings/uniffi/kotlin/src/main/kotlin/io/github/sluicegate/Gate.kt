package io.github.sluicegate

import java.util.concurrent.locks.ReentrantLock
import kotlin.concurrent.withLock
import kotlin.time.Duration
import kotlin.time.Duration.Companion.microseconds
import kotlin.time.TimeSource
import kotlinx.coroutines.CoroutineDispatcher
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.Job
import kotlinx.coroutines.SupervisorJob
import kotlinx.coroutines.channels.BufferOverflow
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.currentCoroutineContext
import kotlinx.coroutines.delay
import kotlinx.coroutines.ensureActive
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.launch

/**
 * Lets calls through when and where the engine decides.
 *
 * One gate serves any number of coroutines and threads. Nobody waits in a thread, and one timer serves all who wait.
 * [restore] is what [snapshot] of an earlier gate gave, [asleep] ago (zero where nobody knows, which is safe).
 *
 * ```kotlin
 * val gate = Gate(Policy.fromJson(text))
 * val answer = gate.run(Request("claude", tokens = 1_500, deadline = 20.seconds)) { attempt ->
 *     send(attempt.endpoint.region, attempt.endpoint.target)
 * }
 * ```
 *
 * @throws SnapshotException where [restore] is no snapshot.
 */
class Gate internal constructor(
    policy: Policy,
    restore: String?,
    asleep: Duration,
    seed: ULong?,
    private val clock: Clock,
    dispatcher: CoroutineDispatcher,
) : AutoCloseable {
    constructor(policy: Policy, restore: String? = null, asleep: Duration = Duration.ZERO, seed: ULong? = null) :
        this(policy, restore, asleep, seed, MonotonicClock(), Dispatchers.Default)

    /** Microseconds since the Unix epoch at the start, monotonic from then on. */
    internal fun interface Clock {
        fun now(): ULong
    }

    /** The policy in force. */
    @Volatile
    var policy: Policy = policy
        private set

    private val desk = when (restore) {
        null -> Desk(policy, clock.now(), seed)
        else -> Desk.restore(policy, restore, clock.now(), micros("asleep", asleep), seed)
    }

    private val lock = ReentrantLock()

    /** By call: where its coroutine waits. */
    private val signals = HashMap<ULong, Channel<Unit>>()
    private val watchers = LinkedHashSet<Channel<TimedEvent>>()
    private val scope = CoroutineScope(SupervisorJob() + dispatcher)
    private var timer: Job? = null
    private var armed: ULong? = null

    /** Calls that wait. */
    val waiting: Long get() = desk.waiting().toLong()

    /** Attempts that are out. */
    val inFlight: Long get() = desk.inFlight().toLong()

    /** Whether it was closed. */
    val isClosed: Boolean get() = desk.isShut()

    /**
     * Runs a call to its end: [body] makes one attempt, at [Attempt.endpoint], as often as the engine sends one.
     *
     * [settle] says what an answer took; without it, what was reserved stands. An exception of the body is an attempt that
     * failed: [classify] says what that means. The last one is thrown if no attempt succeeds; where the engine ended the call
     * itself, [CallEnded]. [InputException] says that it was never taken. Cancelling the coroutine cancels the call and
     * settles what it held. Where the policy hedges, two attempts of a call may run at once.
     */
    suspend fun <T> run(
        request: Request,
        settle: (T) -> Outcome = { AS_RESERVED },
        classify: (Throwable) -> Outcome = ::outcomeOf,
        body: suspend (Attempt) -> T,
    ): T {
        val options = request.options()
        val tokens = inRange("tokens", request.tokens, Long.MAX_VALUE).toULong()
        val cap = request.maxTokens?.let { inRange("maxTokens", it.toLong(), Int.MAX_VALUE.toLong()).toUInt() }
        return turns({ now -> desk.submit(now, request.model, tokens, options, cap) }) { attempt ->
            made(classify) { body(attempt).let { Made(settle(it), Result.success(it)) } }
        }
    }

    /** Runs a call that an [Appraiser] has planned; [make] says how each attempt ended. */
    internal suspend fun <T> run(plan: Plan, make: suspend (Attempt) -> Made<T>): T =
        turns({ now -> desk.submitPlan(now, plan) }, make)

    /** The same for an answer that is handed out as it comes: [make] may tell how the attempt ended before it returns. */
    internal suspend fun <T> stream(plan: Plan, make: suspend (Attempt, (Outcome) -> Unit) -> Made<T>): T =
        drive({ now -> desk.submitPlan(now, plan) }) { call, signal ->
            alone(call, signal) { attempt -> make(attempt) { outcome -> report(call, attempt.id, outcome) } }
        }

    /** How an attempt ended, for the engine and for the caller, who may have had part of the answer [handed] out. */
    internal class Made<out T>(val outcome: Outcome, val result: Result<T>, val handed: Boolean = false)

    internal suspend fun <T> made(classify: (Throwable) -> Outcome, make: suspend () -> Made<T>): Made<T> = try {
        make()
    } catch (error: Throwable) {
        // Whose cancellation it is: of this coroutine, or of something within the attempt, such as a time limit.
        currentCoroutineContext().ensureActive()
        if (error is Error) throw error
        Made(classify(error), Result.failure(error))
    }

    private suspend fun <T> turns(submit: (ULong) -> ULong, make: suspend (Attempt) -> Made<T>): T =
        drive(submit) { call, signal -> if (policy.hedges()) hedged(call, signal, make) else alone(call, signal, make) }

    private suspend fun <T> drive(submit: (ULong) -> ULong, act: suspend (ULong, Channel<Unit>) -> T): T {
        val signal = Channel<Unit>(Channel.CONFLATED)
        val call = operate { now -> submit(now).also { signals[it] = signal } }
        try {
            return act(call, signal)
        } finally {
            operate { now ->
                signals.remove(call)
                desk.leave(now, call)
            }
        }
    }

    private suspend fun <T> alone(call: ULong, signal: Channel<Unit>, make: suspend (Attempt) -> Made<T>): T {
        var last: Made<T>? = null
        while (true) {
            when (val turn = turn(call, signal)) {
                is Turn.Send -> last = attempt(call, turn.attempt, make)
                is Turn.Hedge -> last = attempt(call, turn.attempt, make)
                is Turn.Abort -> report(call, turn.attempt, CANCELLED)
                is Turn.End -> return ended(turn.reason, last)
            }
        }
    }

    private suspend fun <T> hedged(call: ULong, signal: Channel<Unit>, make: suspend (Attempt) -> Made<T>): T = coroutineScope {
        val out = HashMap<ULong, Job>()
        var last: Made<T>? = null
        val start = { attempt: Attempt ->
            out[attempt.id] = launch {
                val made = make(attempt)
                lock.withLock { if (last?.result?.isSuccess != true) last = made }
                report(call, attempt.id, made.outcome)
            }
        }
        while (true) {
            when (val turn = turn(call, signal)) {
                is Turn.Send -> start(turn.attempt)
                is Turn.Hedge -> start(turn.attempt)
                is Turn.Abort -> {
                    out.remove(turn.attempt)?.cancel()
                    report(call, turn.attempt, CANCELLED)
                }
                is Turn.End -> {
                    out.values.forEach { it.cancel() }
                    return@coroutineScope ended(turn.reason, lock.withLock { last })
                }
            }
        }
        @Suppress("UNREACHABLE_CODE")
        error("the loop ends by returning")
    }

    private suspend fun <T> attempt(call: ULong, attempt: Attempt, make: suspend (Attempt) -> Made<T>): Made<T> {
        val made = make(attempt)
        report(call, attempt.id, made.outcome)
        return made
    }

    /** The answer, or the service's own last word, or, where the engine had the last word, an error that says so. */
    private fun <T> ended(reason: EndReason, last: Made<T>?): T {
        val late = reason is EndReason.Expired || (reason is EndReason.Refused && reason.why is Refusal.Deadline)
        if (last != null && (reason is EndReason.Answered || last.handed)) return last.result.getOrThrow()
        val error = last?.result?.exceptionOrNull()
        throw if (error != null && !late) error else CallEnded(reason, error)
    }

    private suspend fun turn(call: ULong, signal: Channel<Unit>): Turn {
        while (true) {
            desk.turn(call)?.let { return it }
            signal.receive()
        }
    }

    private fun report(call: ULong, attempt: ULong, outcome: Outcome) = operate { now ->
        try {
            desk.report(now, call, attempt, outcome)
        } catch (_: InputException) {
            // Its lease has expired, or it was given up in the meantime: it is settled.
        }
    }

    /** What happens from now on. The oldest are dropped for a collector that is [EVENT_BUFFER] events behind. */
    fun events(): Flow<TimedEvent> = flow {
        val events = Channel<TimedEvent>(EVENT_BUFFER, BufferOverflow.DROP_OLDEST)
        lock.withLock {
            watchers += events
            desk.watch(true)
        }
        try {
            for (event in events) emit(event)
        } finally {
            lock.withLock {
                watchers -= events
                desk.watch(watchers.isNotEmpty())
            }
        }
    }

    /** What was learned and counted, for a gate in this process or another one. */
    fun snapshot(): String = desk.snapshot(clock.now())

    /** Puts another policy in force without losing a call. What both know by name goes on. */
    fun reconfigure(policy: Policy) = operate { now ->
        desk.reconfigure(now, policy)
        this.policy = policy
    }

    /** The calls that wait, for [explain]. */
    fun waitingCalls(): List<ULong> = desk.waitingCalls()

    /** Why a call waits, where it was sent, or how it ended; null for one that is not remembered. */
    fun explain(call: ULong): Explanation? = desk.explain(clock.now(), call)

    /** The explanation of a call as one line. */
    fun describe(call: ULong): String? = desk.describe(clock.now(), call)

    /** Cancels every call that waits: each throws [CallEnded] to its caller. Those that are out go on. */
    fun cancelWaiting() = operate { now -> desk.cancelWaiting(now) }

    /** Lets nothing more in and cancels every call that waits. Those that are out go on. Closing it again does nothing. */
    override fun close() = operate { now -> desk.shut(now) }

    /** Does something at the desk, wakes whom it concerns, and arms the timer. */
    private fun <T> operate(act: (ULong) -> T): T = lock.withLock {
        try {
            act(clock.now())
        } finally {
            val news = desk.news()
            for (call in news.calls) signals[call]?.trySend(Unit)
            for (event in news.events) for (watcher in watchers) watcher.trySend(event)
            arm(news.wakeup)
        }
    }

    /** One timer for all. One that is due too early is left to fire, since a wake-up at any other time changes nothing. */
    private fun arm(wakeup: ULong?) {
        val due = armed
        if (wakeup == null || (due != null && due <= wakeup)) return
        timer?.cancel()
        armed = wakeup
        timer = scope.launch {
            val now = clock.now()
            if (wakeup > now) delay((wakeup - now).coerceAtMost(LONGEST_WAIT).toLong().microseconds)
            operate { at ->
                armed = null
                desk.wake(at)
            }
        }
    }

    private class MonotonicClock : Clock {
        private val origin = wallClock()
        private val start = TimeSource.Monotonic.markNow()

        override fun now(): ULong = origin + start.elapsedNow().inWholeMicroseconds.toULong()
    }

    companion object {
        /** Events that are kept for each collector. */
        const val EVENT_BUFFER: Int = 4_096
        private val AS_RESERVED = Outcome(OutcomeClass.SUCCESS, Spent.Unknown)
        private val CANCELLED = outcomeOf(OutcomeClass.CANCELLED)

        /** A day: no timer has to be set for longer, since waking early changes nothing. */
        private val LONGEST_WAIT = 86_400_000_000uL
    }
}
