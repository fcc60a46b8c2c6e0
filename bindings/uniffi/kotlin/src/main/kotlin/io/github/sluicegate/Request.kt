package io.github.sluicegate

import kotlin.time.Duration

/**
 * What one call asks for.
 *
 * [tokens] is what an attempt reserves, in quota tokens; 0 counts as a request alone. [deadline] counts from the submission.
 * [maxTokens] is the cap on the answer that is part of [tokens], to be given only where each attempt is sent with the lower
 * one of [Attempt.maxTokens]. A [lone] call is never sent twice at once.
 */
data class Request(
    val model: String,
    val tokens: Long = 0,
    val deadline: Duration? = null,
    val priority: Int = 0,
    val tenant: String? = null,
    val affinity: String? = null,
    val label: String? = null,
    val maxTokens: Int? = null,
    val lone: Boolean = false,
) {
    /** @throws InputException.OutOfRange where a number is none of those that it can be. */
    internal fun options() = CallOptions(
        deadlineUs = deadline?.let { micros("deadline", it) },
        priority = inRange("priority", priority.toLong(), UByte.MAX_VALUE.toLong()).toUByte(),
        tenant = tenant,
        affinity = affinity,
        label = label,
        lone = lone,
    )
}

/** Microseconds of a duration that must not be negative. */
internal fun micros(what: String, duration: Duration): ULong =
    inRange(what, duration.inWholeMicroseconds, Long.MAX_VALUE).toULong()

internal fun inRange(what: String, number: Long, most: Long): Long {
    if (number !in 0..most) throw InputException.OutOfRange("$what is out of range: from 0 to $most")
    return number
}
