import Sluicegate

// The form that transcripts have: tests/vectors/README.md.

func json(_ value: OutcomeClass) -> Json {
    let name = snake(value)
    let throttled = "throttled_"
    return name.hasPrefix(throttled) ? .object(["throttled": .text(String(name.dropFirst(throttled.count)))]) : .text(name)
}

func json(_ value: Quota) -> Json { .text(snake(value)) }

func json(_ value: EndReason) -> Json {
    switch value {
    case .answered: .text("answered")
    case .refused(let why, let retryAt): one("refused", ["why": json(why), "retry_at": json(retryAt)])
    case .expired: .text("expired")
    case .cancelled: .text("cancelled")
    case .failed(let outcomeClass): one("failed", ["class": json(outcomeClass)])
    }
}

func json(_ value: Refusal) -> Json {
    if case .tooLarge(let limit) = value { one("too_large", ["limit": json(limit)]) } else { .text(snake(value)) }
}

private func sending(_ name: String, _ call: UInt64, _ attempt: UInt64, _ endpoint: UInt16, _ cap: UInt32?) -> Json {
    var fields = ["call": json(call), "attempt": json(attempt), "endpoint": json(endpoint)]
    if let cap { fields["max_tokens"] = json(cap) }
    return one(name, fields)
}

func json(_ value: Decision) -> Json {
    switch value {
    case .send(let call, let attempt, let endpoint, let cap): sending("send", call, attempt, endpoint, cap)
    case .hedge(let call, let attempt, let endpoint, let cap): sending("hedge", call, attempt, endpoint, cap)
    case .abort(let call, let attempt): one("abort", ["call": json(call), "attempt": json(attempt)])
    case .end(let call, let reason): one("end", ["call": json(call), "reason": json(reason)])
    }
}

func json(_ value: Wakeup) -> Json { .object(["at": json(value.at), "reason": .text(snake(value.reason))]) }

func json(_ value: Event) -> Json {
    switch value {
    case .sent(let call, let attempt, let endpoint, let number, let waitedUs, let reservedTokens):
        one(
            "sent",
            [
                "call": json(call), "attempt": json(attempt), "endpoint": json(endpoint), "number": json(number),
                "waited_us": json(waitedUs), "reserved_tokens": json(reservedTokens),
            ])
    case .hedged(let call, let attempt, let first, let afterUs):
        one("hedged", ["call": json(call), "attempt": json(attempt), "first": json(first), "after_us": json(afterUs)])
    case .settled(let call, let attempt, let endpoint, let outcomeClass, let reserved, let spent, let tookUs):
        one(
            "settled",
            [
                "call": json(call), "attempt": json(attempt), "endpoint": endpoint.map(json) ?? .null,
                "class": json(outcomeClass), "reserved_tokens": json(reserved), "spent_tokens": json(spent),
                "took_us": json(tookUs),
            ])
    case .retryPlanned(let call, let at, let outcomeClass, let bounded):
        one("retry_planned", ["call": json(call), "at": json(at), "class": json(outcomeClass), "bounded": .flag(bounded)])
    case .ended(let call, let reason, let attempts, let tookUs):
        one("ended", ["call": json(call), "reason": json(reason), "attempts": json(attempts), "took_us": json(tookUs)])
    case .limitLearned(let pool, let quota, let limit):
        one("limit_learned", ["pool": json(pool), "quota": json(quota), "limit": json(limit)])
    case .phaseLearned(let pool, let quota, let beginsUs, let withinUs):
        one(
            "phase_learned",
            ["pool": json(pool), "quota": json(quota), "begins_us": json(beginsUs), "within_us": json(withinUs)])
    case .phaseLost(let pool, let quota): one("phase_lost", ["pool": json(pool), "quota": json(quota)])
    case .concurrencyLowered(let endpoint, let limit):
        one("concurrency_lowered", ["endpoint": json(endpoint), "limit": json(limit)])
    case .breakerChanged(let endpoint, let state):
        one("breaker_changed", ["endpoint": json(endpoint), "state": .text(snake(state))])
    case .stackedRetry(let call, let sinceUs): one("stacked_retry", ["call": json(call), "since_us": json(sinceUs)])
    case .capAdvised(let model, let label, let cap, let holds, let frees):
        one(
            "cap_advised",
            [
                "model": json(model), "label": json(label), "cap": json(cap), "holds_permille": json(holds),
                "frees_tokens_per_minute": json(frees),
            ])
    case .capLifted(let call, let cap): one("cap_lifted", ["call": json(call), "cap": json(cap)])
    case .affinityMoved(let call, let from, let to):
        one("affinity_moved", ["call": json(call), "from": json(from), "to": json(to)])
    case .endpointUnusable(let endpoint, let until):
        one("endpoint_unusable", ["endpoint": json(endpoint), "until": json(until)])
    case .leaseExpired(let call, let attempt): one("lease_expired", ["call": json(call), "attempt": json(attempt)])
    case .clockBackwards(let byUs): one("clock_backwards", ["by_us": json(byUs)])
    case .eventsDropped(let count): one("events_dropped", ["count": json(count)])
    }
}

private func json(_ value: Phase) -> Json {
    switch value {
    case .waiting: .text("waiting")
    case .delayed(let until): .object(["delayed": json(until)])
    case .out(let attempt): .object(["out": json(attempt)])
    case .ended(let reason): .object(["ended": json(reason)])
    }
}

private func json(_ value: Standing) -> Json {
    switch value {
    case .quota(let quota, let until): .object(["quota": .list([json(quota), json(until)])])
    case .shut(let until): .object(["shut": json(until)])
    case .tooLarge(let limit): .object(["too_large": json(limit)])
    case .chosen, .ready, .tooSlow, .inReserve, .busy, .excluded: .text(snake(value))
    }
}

func json(_ value: Explanation) -> Json {
    .object([
        "call": json(value.call), "phase": json(value.phase), "attempts": json(value.attempts),
        "ahead": json(value.ahead), "as_of": json(value.asOf),
        "endpoints": .list(
            value.endpoints.map { .object(["endpoint": json($0.endpoint), "standing": json($0.standing)]) }),
        "trials": .list(
            value.trials.map {
                .object([
                    "attempt": json($0.attempt), "endpoint": json($0.endpoint), "sent_at": json($0.sentAt),
                    "class": $0.outcomeClass.map(json) ?? .null,
                ])
            }),
    ])
}
