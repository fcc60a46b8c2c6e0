import Foundation

/// A clock that stands still but for its jumps.
final class ManualClock: Clock, @unchecked Sendable {
    struct Instant: InstantProtocol {
        var since: Duration = .zero
        func advanced(by duration: Duration) -> Instant { Instant(since: since + duration) }
        func duration(to other: Instant) -> Duration { other.since - since }
        static func < (one: Instant, other: Instant) -> Bool { one.since < other.since }
    }

    private let lock = NSLock()
    private var time = Instant()
    private var sleepers: [Int: (due: Instant, continuation: CheckedContinuation<Void, any Error>)] = [:]
    private var next = 0

    var now: Instant { lock.withLock { time } }
    let minimumResolution = Duration.microseconds(1)

    func sleep(until due: Instant, tolerance: Duration?) async throws {
        let sleeper = lock.withLock {
            next += 1
            return next
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
                lock.withLock {
                    if Task.isCancelled {
                        continuation.resume(throwing: CancellationError())
                    } else if due <= time {
                        continuation.resume()
                    } else {
                        sleepers[sleeper] = (due, continuation)
                    }
                }
            }
        } onCancel: {
            lock.withLock { sleepers.removeValue(forKey: sleeper) }?.continuation.resume(throwing: CancellationError())
        }
    }

    /// Jumps to the next time at which somebody wants to wake, if that is before the end.
    private func jump(_ end: Instant) {
        let woken = lock.withLock {
            guard let due = sleepers.values.map(\.due).min(), due < end else { return [CheckedContinuation<Void, any Error>]() }
            time = due
            let woken = sleepers.filter { $0.value.due <= due }
            for sleeper in woken.keys { sleepers[sleeper] = nil }
            return woken.values.map(\.continuation)
        }
        for continuation in woken { continuation.resume() }
    }

    /// Runs something to its end, jumping whenever somebody sleeps, by so much in all at most.
    func jumping<T: Sendable>(_ most: Duration, _ act: @escaping @Sendable () async throws -> T) async throws -> T {
        let end = now.advanced(by: most)
        let jumps = Task {
            while !Task.isCancelled {
                jump(end)
                await Task.yield()
            }
        }
        defer { jumps.cancel() }
        return try await act()
    }
}
