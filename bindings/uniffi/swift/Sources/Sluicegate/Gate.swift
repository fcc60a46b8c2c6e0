/// Lets calls through when and where the engine decides.
///
/// One gate serves any number of tasks. Nobody waits in a thread, and one timer serves all who wait.
///
/// ```swift
/// let gate = Gate(try Policy.fromJson(text: text))
/// let answer = try await gate.run(Request("claude", tokens: 1_500, deadline: .seconds(20))) { attempt in
///     try await send(to: attempt.endpoint)
/// }
/// ```
public actor Gate {
    /// How an attempt ended, for the engine and for the caller, who may have had part of the answer handed out.
    struct Made<T: Sendable>: Sendable {
        let outcome: Outcome
        let result: Result<T, any Error>
        var handed = false
    }

    /// Events that are kept for each stream of them; of one that is further behind, the oldest are dropped.
    public static let eventBuffer = 4_096

    /// The policy in force.
    public private(set) var policy: Policy

    private let desk: Desk
    private let time: Time
    /// By call: whoever waits for its next turn.
    private var waiters: [UInt64: CheckedContinuation<Void, Never>] = [:]
    private var watchers: [UInt64: AsyncStream<TimedEvent>.Continuation] = [:]
    private var nextWatcher: UInt64 = 0
    private var timer: Task<Void, Never>?
    private var armed: UInt64?
    /// By call of those that hedge: their attempts in the order in which they ended.
    private var reported: [UInt64: [UInt64]] = [:]

    /// The same seed draws the same numbers; without one, nobody can tell them. All waiting is done by `clock`.
    public init(_ policy: Policy, seed: UInt64? = nil, clock: some Clock<Duration> = ContinuousClock()) {
        time = Time(clock)
        desk = Desk(policy: policy, now: time.now(), seed: seed)
        self.policy = policy
    }

    /// Goes on from what `snapshot` of an earlier gate gave, `asleep` ago; zero where nobody knows, which is safe.
    public init(
        _ policy: Policy, restore snapshot: String, asleep: Duration = .zero, seed: UInt64? = nil,
        clock: some Clock<Duration> = ContinuousClock()
    ) throws {
        time = Time(clock)
        desk = try Desk.restore(
            policy: policy, snapshot: snapshot, now: time.now(), asleepUs: try micros("asleep", asleep), seed: seed)
        self.policy = policy
    }

    deinit {
        timer?.cancel()
    }

    /// Calls that wait.
    public nonisolated var waiting: Int { Int(clamping: desk.waiting()) }
    /// Attempts that are out.
    public nonisolated var inFlight: Int { Int(clamping: desk.inFlight()) }
    /// Whether it was closed.
    public nonisolated var isClosed: Bool { desk.isShut() }

    /// Runs a call to its end: `body` makes one attempt, at its `endpoint`, as often as the engine sends one.
    ///
    /// `settle` says what an answer took; without it, what was reserved stands. An error of the body is an attempt that
    /// failed: `classify` says what that means. The last one is thrown if no attempt succeeds; where the engine ended the
    /// call itself, `CallEnded`. `InputError` says that it was never taken. Cancelling the task cancels the call and
    /// settles what it held. Where the policy hedges, two attempts of a call may run at once.
    public func run<T: Sendable>(
        _ request: Request,
        settle: @escaping @Sendable (T) -> Outcome = { _ in Outcome(outcomeClass: .success, spent: .unknown) },
        classify: @escaping @Sendable (any Error) -> Outcome = { outcomeOf($0) },
        _ body: @escaping @Sendable (Attempt) async throws -> T
    ) async throws -> T {
        let options = try request.options()
        let tokens: UInt64 = try inRange("tokens", request.tokens)
        let cap: UInt32? = try request.maxTokens.map { try inRange("maxTokens", $0) }
        return try await turns {
            try $0.submit(now: $1, model: request.model, tokens: tokens, options: options, maxTokens: cap)
        } make: { attempt in
            do {
                let answer = try await body(attempt)
                return Made(outcome: settle(answer), result: .success(answer))
            } catch {
                return Made(outcome: classify(error), result: .failure(error))
            }
        }
    }

    /// Runs a call that an appraiser has planned; `make` says how each attempt ended.
    func run<T: Sendable>(plan: Plan, make: @escaping @Sendable (Attempt) async -> Made<T>) async throws -> T {
        try await turns({ try $0.submitPlan(now: $1, plan: plan) }, make: make)
    }

    /// The same for an answer that is handed out as it comes: `make` may tell how the attempt ended before it returns.
    func stream<T: Sendable>(
        plan: Plan, make: @Sendable (Attempt, @escaping @Sendable (Outcome) async -> Void) async -> Made<T>
    ) async throws -> T {
        try await drive({ try $0.submitPlan(now: $1, plan: plan) }) { call in
            try await alone(call) { attempt in
                await make(attempt) { outcome in await self.report(call, attempt.id, outcome) }
            }
        }
    }

    private func turns<T: Sendable>(
        _ submit: (Desk, UInt64) throws -> UInt64, make: @escaping @Sendable (Attempt) async -> Made<T>
    ) async throws -> T {
        try await drive(submit) { call in policy.hedges() ? try await hedged(call, make) : try await alone(call, make) }
    }

    private func drive<T: Sendable>(
        _ submit: (Desk, UInt64) throws -> UInt64, _ act: (UInt64) async throws -> T
    ) async throws -> T {
        let call = try operate { try submit(desk, $0) }
        defer {
            operate { desk.leave(now: $0, call: call) }
            reported[call] = nil
        }
        return try await act(call)
    }

    private func alone<T: Sendable>(_ call: UInt64, _ make: @Sendable (Attempt) async -> Made<T>) async throws -> T {
        var last: Made<T>?
        while true {
            switch try await turn(call) {
            case .send(let attempt), .hedge(let attempt):
                let made = await make(attempt)
                // A caller that goes has no outcome to tell: leaving settles what it held.
                try Task.checkCancellation()
                report(call, attempt.id, made.outcome)
                last = made
            case .abort(let attempt): report(call, attempt, outcomeOf(outcomeClass: .cancelled))
            case .end(let reason): return try ended(reason, last)
            }
        }
    }

    private func hedged<T: Sendable>(
        _ call: UInt64, _ make: @escaping @Sendable (Attempt) async -> Made<T>
    ) async throws -> T {
        var out: [UInt64: Task<Made<T>, Never>] = [:]
        defer { out.values.forEach { $0.cancel() } }
        while true {
            switch try await turn(call) {
            case .send(let attempt), .hedge(let attempt):
                out[attempt.id] = Task {
                    let made = await make(attempt)
                    finish(call, attempt.id, made.outcome)
                    return made
                }
            case .abort(let attempt):
                out[attempt]?.cancel()
                report(call, attempt, outcomeOf(outcomeClass: .cancelled))
            case .end(let reason):
                let last = reported[call]?.last.flatMap { out[$0] }
                return try ended(reason, await last?.value)
            }
        }
    }

    private func finish(_ call: UInt64, _ attempt: UInt64, _ outcome: Outcome) {
        if report(call, attempt, outcome) { reported[call, default: []].append(attempt) }
    }

    /// The answer, or the service's own last word, or, where the engine had the last word, an error that says so.
    private func ended<T>(_ reason: EndReason, _ last: Made<T>?) throws -> T {
        let late = switch reason {
        case .expired, .refused(why: .deadline, retryAt: _): true
        default: false
        }
        if let last, reason == .answered || last.handed { return try last.result.get() }
        guard case .failure(let error)? = last?.result else { throw CallEnded(reason: reason, last: nil) }
        throw late ? CallEnded(reason: reason, last: error) : error
    }

    private func turn(_ call: UInt64) async throws -> Turn {
        while true {
            try Task.checkCancellation()
            if let turn = desk.turn(call: call) { return turn }
            await withTaskCancellationHandler {
                await withCheckedContinuation { waiters[call] = $0 }
            } onCancel: {
                Task { await self.wake(call) }
            }
        }
    }

    private func wake(_ call: UInt64) {
        waiters.removeValue(forKey: call)?.resume()
    }

    /// Whether it was taken. If not, its lease has expired or it was given up in the meantime: it is settled.
    @discardableResult
    private func report(_ call: UInt64, _ attempt: UInt64, _ outcome: Outcome) -> Bool {
        operate { now in (try? desk.report(now: now, call: call, attempt: attempt, outcome: outcome)) != nil }
    }

    /// What happens from now on.
    public func events() -> AsyncStream<TimedEvent> {
        let (stream, continuation) = AsyncStream.makeStream(
            of: TimedEvent.self, bufferingPolicy: .bufferingNewest(Self.eventBuffer))
        let watcher = nextWatcher
        nextWatcher += 1
        watchers[watcher] = continuation
        desk.watch(watching: true)
        continuation.onTermination = { [weak self] _ in Task { await self?.unwatch(watcher) } }
        return stream
    }

    private func unwatch(_ watcher: UInt64) {
        watchers[watcher] = nil
        desk.watch(watching: !watchers.isEmpty)
    }

    /// What was learned and counted, for a gate in this process or another one.
    public nonisolated func snapshot() -> String { desk.snapshot(now: time.now()) }

    /// Puts another policy in force without losing a call. What both know by name goes on.
    public func reconfigure(_ policy: Policy) {
        operate { desk.reconfigure(now: $0, policy: policy) }
        self.policy = policy
    }

    /// The calls that wait, for `explain`.
    public nonisolated func waitingCalls() -> [UInt64] { desk.waitingCalls() }

    /// Why a call waits, where it was sent, or how it ended; nil for one that is not remembered.
    public nonisolated func explain(_ call: UInt64) -> Explanation? { desk.explain(now: time.now(), call: call) }

    /// The explanation of a call as one line.
    public nonisolated func describe(_ call: UInt64) -> String? { desk.describe(now: time.now(), call: call) }

    /// Cancels every call that waits: each throws `CallEnded` to its caller. Those that are out go on.
    public func cancelWaiting() { operate { desk.cancelWaiting(now: $0) } }

    /// Lets nothing more in and cancels every call that waits. Those that are out go on. Closing it again does nothing.
    public func close() { operate { desk.shut(now: $0) } }

    /// Does something at the desk, wakes whom it concerns, and arms the timer.
    private func operate<T>(_ act: (UInt64) throws -> T) rethrows -> T {
        defer {
            let news = desk.news()
            news.calls.forEach(wake)
            for event in news.events {
                for watcher in watchers.values { watcher.yield(event) }
            }
            arm(news.wakeup)
        }
        return try act(time.now())
    }

    /// One timer for all. One that is due too early is left to fire, since a wake-up at any other time changes nothing.
    private func arm(_ wakeup: UInt64?) {
        guard let wakeup, armed.map({ wakeup < $0 }) ?? true else { return }
        timer?.cancel()
        armed = wakeup
        let now = time.now()
        // A day: no timer has to be set for longer.
        let wait = min(wakeup > now ? wakeup - now : 0, 86_400_000_000)
        timer = Task { [weak self, time] in
            guard (try? await time.sleep(.microseconds(Int64(wait)))) != nil else { return }
            await self?.fire()
        }
    }

    private func fire() {
        armed = nil
        operate { desk.wake(now: $0) }
    }
}

/// A clock as the gate needs it: microseconds since the Unix epoch at the start, and as the clock counts from then on.
private struct Time: Sendable {
    let now: @Sendable () -> UInt64
    let sleep: @Sendable (Duration) async throws -> Void

    init<C: Clock<Duration>>(_ clock: C) {
        let (origin, start) = (wallClock(), clock.now)
        now = {
            let (seconds, attoseconds) = start.duration(to: clock.now).components
            return origin + UInt64(max(0, seconds)) * 1_000_000 + UInt64(max(0, attoseconds) / 1_000_000_000_000)
        }
        sleep = { try await clock.sleep(until: clock.now.advanced(by: $0), tolerance: nil) }
    }
}
