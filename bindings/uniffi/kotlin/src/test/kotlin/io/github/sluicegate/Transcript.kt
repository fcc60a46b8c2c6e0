package io.github.sluicegate

import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonPrimitive

// The form that transcripts have: tests/vectors/README.md.

internal fun snake(name: String): String = name.lowercase()

internal fun json(value: OutcomeClass): JsonElement {
    val name = snake(value.name)
    return if (name.startsWith("throttled_")) obj("throttled" to name.removePrefix("throttled_")) else JsonPrimitive(name)
}

private fun json(value: Quota) = JsonPrimitive(snake(value.name))

private fun json(value: BreakerState) = JsonPrimitive(snake(value.name))

private fun json(value: EndReason): JsonElement = when (value) {
    is EndReason.Answered -> JsonPrimitive("answered")
    is EndReason.Refused -> case("refused", "why" to json(value.why), "retry_at" to value.retryAt)
    is EndReason.Expired -> JsonPrimitive("expired")
    is EndReason.Cancelled -> JsonPrimitive("cancelled")
    is EndReason.Failed -> case("failed", "class" to json(value.outcomeClass))
}

private fun json(value: Refusal): JsonElement = when (value) {
    is Refusal.Deadline -> JsonPrimitive("deadline")
    is Refusal.TooLarge -> case("too_large", "limit" to value.limit)
    is Refusal.QueueFull -> JsonPrimitive("queue_full")
    is Refusal.TargetWait -> JsonPrimitive("target_wait")
    is Refusal.NoEndpoint -> JsonPrimitive("no_endpoint")
}

private fun sending(name: String, call: ULong, attempt: ULong, endpoint: UShort, cap: UInt?): JsonElement {
    val fields = listOf("call" to call, "attempt" to attempt, "endpoint" to endpoint)
    return case(name, *(if (cap == null) fields else fields + ("max_tokens" to cap)).toTypedArray())
}

internal fun json(value: Decision): JsonElement = when (value) {
    is Decision.Send -> sending("send", value.call, value.attempt, value.endpoint, value.maxTokens)
    is Decision.Hedge -> sending("hedge", value.call, value.attempt, value.endpoint, value.maxTokens)
    is Decision.Abort -> case("abort", "call" to value.call, "attempt" to value.attempt)
    is Decision.End -> case("end", "call" to value.call, "reason" to json(value.reason))
}

internal fun json(value: Wakeup) = obj("at" to value.at, "reason" to snake(value.reason.name))

internal fun json(value: Event): JsonElement = when (value) {
    is Event.Sent -> case(
        "sent", "call" to value.call, "attempt" to value.attempt, "endpoint" to value.endpoint, "number" to value.number,
        "waited_us" to value.waitedUs, "reserved_tokens" to value.reservedTokens,
    )
    is Event.Hedged -> case(
        "hedged", "call" to value.call, "attempt" to value.attempt, "first" to value.first, "after_us" to value.afterUs,
    )
    is Event.Settled -> case(
        "settled", "call" to value.call, "attempt" to value.attempt, "endpoint" to value.endpoint,
        "class" to json(value.outcomeClass), "reserved_tokens" to value.reservedTokens,
        "spent_tokens" to value.spentTokens, "took_us" to value.tookUs,
    )
    is Event.RetryPlanned -> case(
        "retry_planned", "call" to value.call, "at" to value.at, "class" to json(value.outcomeClass), "bounded" to value.bounded,
    )
    is Event.Ended -> case(
        "ended", "call" to value.call, "reason" to json(value.reason), "attempts" to value.attempts, "took_us" to value.tookUs,
    )
    is Event.LimitLearned -> case("limit_learned", "pool" to value.pool, "quota" to json(value.quota), "limit" to value.limit)
    is Event.PhaseLearned -> case(
        "phase_learned", "pool" to value.pool, "quota" to json(value.quota), "begins_us" to value.beginsUs,
        "within_us" to value.withinUs,
    )
    is Event.PhaseLost -> case("phase_lost", "pool" to value.pool, "quota" to json(value.quota))
    is Event.ConcurrencyLowered -> case("concurrency_lowered", "endpoint" to value.endpoint, "limit" to value.limit)
    is Event.BreakerChanged -> case("breaker_changed", "endpoint" to value.endpoint, "state" to json(value.state))
    is Event.StackedRetry -> case("stacked_retry", "call" to value.call, "since_us" to value.sinceUs)
    is Event.CapAdvised -> case(
        "cap_advised", "model" to value.model, "label" to value.label, "cap" to value.cap,
        "holds_permille" to value.holdsPermille, "frees_tokens_per_minute" to value.freesTokensPerMinute,
    )
    is Event.CapLifted -> case("cap_lifted", "call" to value.call, "cap" to value.cap)
    is Event.AffinityMoved -> case(
        "affinity_moved", "call" to value.call, "from" to value.fromEndpoint, "to" to value.toEndpoint,
    )
    is Event.EndpointUnusable -> case("endpoint_unusable", "endpoint" to value.endpoint, "until" to value.until)
    is Event.LeaseExpired -> case("lease_expired", "call" to value.call, "attempt" to value.attempt)
    is Event.ClockBackwards -> case("clock_backwards", "by_us" to value.byUs)
    is Event.EventsDropped -> case("events_dropped", "count" to value.count)
}

private fun json(value: Phase): JsonElement = when (value) {
    is Phase.Waiting -> JsonPrimitive("waiting")
    is Phase.Delayed -> obj("delayed" to value.until)
    is Phase.Out -> obj("out" to value.attempt)
    is Phase.Ended -> obj("ended" to json(value.reason))
}

private fun json(value: Standing): JsonElement = when (value) {
    is Standing.Chosen -> JsonPrimitive("chosen")
    is Standing.Ready -> JsonPrimitive("ready")
    is Standing.TooSlow -> JsonPrimitive("too_slow")
    is Standing.InReserve -> JsonPrimitive("in_reserve")
    is Standing.Quota -> obj("quota" to listOf(json(value.quota), value.until))
    is Standing.Shut -> obj("shut" to value.until)
    is Standing.Busy -> JsonPrimitive("busy")
    is Standing.TooLarge -> obj("too_large" to value.limit)
    is Standing.Excluded -> JsonPrimitive("excluded")
}

internal fun json(value: Explanation) = obj(
    "call" to value.call, "phase" to json(value.phase), "attempts" to value.attempts, "ahead" to value.ahead,
    "as_of" to value.asOf,
    "endpoints" to value.endpoints.map { obj("endpoint" to it.endpoint, "standing" to json(it.standing)) },
    "trials" to value.trials.map {
        obj(
            "attempt" to it.attempt, "endpoint" to it.endpoint, "sent_at" to it.sentAt,
            "class" to it.outcomeClass?.let(::json),
        )
    },
)
