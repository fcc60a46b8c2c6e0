import Foundation
import Sluicegate
import XCTest

/// A thousand tasks against the embedded fake. All figures are from its books.
final class LoadTests: XCTestCase {
    // As in `Tests/fake.json`, by which the fake runs.
    private let regions = ["us-east-1", "us-east-2", "us-west-2"]
    private let model = "claude-sonnet-4-6"
    private let perMinute = 400
    private let startPermille = 30
    private let calls = 1_000
    private let gapMs = 33
    private let deadlineMs = 8_000

    /// At one and a half times the quota. The buckets begin nearly empty: full ones would hold more than all that is asked.
    func testTheQuotaIsUsedAndHardlyAnythingIsRefused() async throws {
        let (fake, model, gapMs) = (try Fake(), model, gapMs)
        let gate = Gate(try policy(model, regions, pool: "\"requests_per_minute\": \(perMinute)"), seed: 1)
        let bedrock = try await Bedrock(gate: gate, client: fake.client)
        let options = CallOptions(deadlineUs: UInt64(deadlineMs) * 1_000)
        let answered = try await withThrowingTaskGroup(of: Int.self) { group in
            for number in 0..<calls {
                group.addTask {
                    try await Task.sleep(for: .milliseconds(gapMs * number))
                    do {
                        _ = try await bedrock.converse(model, asking(50), options: options)
                        return 1
                    } catch is CallEnded {
                        // More is offered than fits.
                        return 0
                    }
                }
            }
            return try await group.reduce(0, +)
        }
        let totals = try await fake.totals(model)
        let (attempts, completed, refused) = (totals["attempts"]!, totals["completed"]!, totals["refused_quota"]!)
        // What no schedule can exceed: what the buckets hold at first, and what flows in until the last deadline.
        let oracle = 3 * perMinute * startPermille / 1_000 + 3 * perMinute * (gapMs * calls + deadlineMs) / 60_000
        print("load: answered \(answered), attempts \(attempts), completed \(completed), refused \(refused), oracle at most \(oracle)")
        XCTAssertEqual(completed, answered)
        // On a machine where others work, timers come late: the promise itself is for a quiet one.
        let quiet = ProcessInfo.processInfo.environment["SLUICEGATE_MEASURE"] == "1"
        XCTAssertGreaterThanOrEqual(completed * 1_000, oracle * (quiet ? 950 : 900))
        XCTAssertLessThanOrEqual(refused * 1_000, attempts * (quiet ? 10 : 20))
        XCTAssertEqual([gate.inFlight, gate.waiting], [0, 0])
    }

    /// Slots are what shows a lost permit: one that is lost never comes back.
    func testCancellingHalfOfThemLosesNoPermit() async throws {
        let (fake, slots) = (try Fake(), 60)
        let gate = Gate(try policy("slots", ["us-east-1"], pool: "\"concurrency\": \(slots)"), seed: 1)
        let bedrock = try await Bedrock(gate: gate, client: fake.client)
        let (answers, answer) = AsyncStream.makeStream(of: Void.self)
        let tasks = (0..<calls).map { _ in
            Task {
                _ = try await bedrock.converse("slots", asking(50))
                answer.yield()
            }
        }
        await until { gate.inFlight == slots || gate.inFlight + gate.waiting == calls }
        for (index, task) in tasks.enumerated() where index % 2 == 0 { task.cancel() }
        var cancelled = 0
        for task in tasks {
            if let error = await thrown({ try await task.value }) {
                XCTAssertTrue(error is CancellationError, "\(error)")
                cancelled += 1
            }
        }
        answer.finish()
        let answered = await answers.reduce(into: 0) { count, _ in count += 1 }
        print("cancelled \(cancelled), answered \(answered), by the fake's books \(try await fake.totals("slots"))")
        XCTAssertTrue((calls / 3...calls / 2).contains(cancelled), "\(cancelled)")
        XCTAssertEqual(cancelled + answered, calls)
        XCTAssertEqual([gate.inFlight, gate.waiting], [0, 0])

        // Every slot can be had again, all at once.
        let (release, open) = AsyncStream.makeStream(of: Void.self)
        let held = Task { for await _ in release {} }
        let again = (0...slots).map { _ in Task { try await gate.run(Request("slots")) { _ in await held.value } } }
        await until { gate.inFlight + gate.waiting == slots + 1 }
        XCTAssertEqual([gate.inFlight, gate.waiting], [slots, 1])
        open.finish()
        for task in again { try await task.value }
    }
}
