package io.github.sluicegate

import java.io.IOException
import java.net.ConnectException
import java.net.SocketTimeoutException
import java.util.concurrent.TimeoutException
import kotlinx.coroutines.TimeoutCancellationException

/** An attempt that failed in a way that its maker can name. Thrown inside [Gate.run], it is reported as it says. */
class AttemptFailed(val outcome: Outcome, message: String, cause: Throwable? = null) : Exception(message, cause)

/**
 * How an attempt ended that answered with this HTTP status, if that is an error: throws [AttemptFailed] then.
 *
 * For clients of HTTP: the body and the headers of Bedrock's errors say more than the status.
 */
fun checkAnswer(status: Int, headers: Map<String, List<String>>, body: ByteArray) {
    if (status < 400) return
    val flat = headers.flatMap { (name, values) -> values.map { Header(name, it) } }
    val outcome = classifyHttp(status.toUShort(), flat, body, wallClock())
    throw AttemptFailed(outcome, "the service answered $status: ${body.decodeToString().take(200)}")
}

/** The report on an attempt that ended with this exception. One that says nothing of a service is never tried again. */
fun outcomeOf(error: Throwable): Outcome = when {
    error is AttemptFailed -> error.outcome
    error is ConnectException || error.isA("HttpConnectTimeoutException") -> failed(FailedAt.CONNECT, error)
    error is SocketTimeoutException || error is TimeoutException || error is TimeoutCancellationException -> failed(FailedAt.TIMEOUT, error)
    error.isA("HttpTimeoutException") -> failed(FailedAt.TIMEOUT, error)
    error is IOException -> failed(FailedAt.IO, error)
    else -> Outcome(OutcomeClass.REFUSED, Spent.Unknown)
}

/** By name, since Android has no `java.net.http`. */
private fun Throwable.isA(name: String): Boolean =
    generateSequence<Class<*>>(javaClass) { it.superclass }.any { it.simpleName == name }

internal fun failed(at: FailedAt, error: Throwable): Outcome = classify(Failure(at, text = error.message), wallClock())

/** Microseconds since the Unix epoch, for headers that name a time of day. */
internal fun wallClock(): ULong = System.currentTimeMillis().coerceAtLeast(0).toULong() * 1_000u

/** A call that ended without an answer because the engine, or whoever closed the gate, had the last word. */
class CallEnded(
    /** How it ended. */
    val reason: EndReason,
    cause: Throwable? = null,
) : Exception("sluicegate ended the call: ${reason.describe()}", cause)
