import Foundation
import Sluicegate
import XCTest

final class GateTests: XCTestCase {
    private func policy(_ pool: String, _ more: String = "") throws -> Policy {
        try Policy.fromJson(
            text: "{\"pools\": {\"p\": {\(pool)}}, \"endpoints\": {\"e\": {\"model\": \"m\", \"pools\": [\"p\"]}}\(more)}")
    }

    /// Waits for an event, not for a time.
    private func until(_ holds: () async -> Bool) async {
        while !(await holds()) { await Task.yield() }
    }

    func testCancellingHalfOfAThousandLosesNoPermit() async throws {
        let gate = Gate(try policy("\"concurrency\": 100"))
        let (release, open) = AsyncStream.makeStream(of: Void.self)
        let held = Task { for await _ in release {} }
        let tasks = (0..<1_000).map { _ in Task { try await gate.run(Request("m")) { _ in await held.value } } }
        await until { gate.inFlight > 0 && gate.inFlight + gate.waiting == 1_000 }
        XCTAssertLessThanOrEqual(gate.inFlight, 100)
        for (index, task) in tasks.enumerated() where index % 2 == 0 { task.cancel() }
        open.finish()
        var cancelled = 0
        for (index, task) in tasks.enumerated() {
            do {
                try await task.value
            } catch is CancellationError {
                XCTAssertEqual(index % 2, 0)
                cancelled += 1
            }
        }
        XCTAssertGreaterThan(cancelled, 400)
        XCTAssertEqual([gate.inFlight, gate.waiting], [0, 0])
    }

    func testFailuresAreTriedAgainAndTheLastOneIsThrown() async throws {
        let gate = Gate(try policy(""))
        let answer = try await gate.run(Request("m")) { attempt in
            if attempt.number == 1 {
                throw AttemptFailed(Outcome(outcomeClass: .unavailable, spent: .nothing, retryAfterUs: 1_000), "503")
            }
            return attempt.number
        }
        XCTAssertEqual(answer, 2)
        struct Mine: Error {}
        do {
            try await gate.run(Request("m")) { _ in throw Mine() }
            XCTFail("it was answered")
        } catch is Mine {}
    }

    func testACallThatCannotMakeItsDeadlineEndsWithTheReason() async throws {
        let gate = Gate(try policy("\"requests_per_minute\": 1"))
        try await gate.run(Request("m")) { _ in }
        do {
            try await gate.run(Request("m", deadline: .milliseconds(50))) { _ in }
            XCTFail("it was answered")
        } catch let ended as CallEnded {
            XCTAssertNotEqual(ended.reason, .answered)
        }
    }

    func testEventsStream() async throws {
        let gate = Gate(try policy(""))
        let events = await gate.events()
        try await gate.run(Request("m")) { _ in }
        var names: [String] = []
        for await event in events {
            names.append(String(String(describing: event.event).prefix { $0 != "(" }))
            if names.count == 3 { break }
        }
        XCTAssertEqual(names, ["sent", "settled", "ended"])
    }

    func testASlowAttemptIsHedgedWhereThePolicySaysSo() async throws {
        let policy = try Policy.fromJson(
            text: """
                {"pools": {"p": {}, "q": {}}, "hedge": {"after_permille": 900, "share_permille": 1000},
                "endpoints": {"e": {"model": "m", "pools": ["p"]}, "f": {"model": "m", "pools": ["q"]}}}
                """)
        let known = #"{"endpoints": {"e": {"service_times": {"all": [[5, 60]]}}, "f": {"service_times": {"all": [[5, 60]]}}}, "version": 1}"#
        let gate = try Gate(policy, restore: known)
        let number = try await gate.run(Request("m")) { attempt in
            // Only its cancellation ends the first.
            if attempt.number == 1 { try await Task.sleep(for: .seconds(3_600)) }
            return attempt.number
        }
        XCTAssertEqual(number, 2)
        XCTAssertEqual(gate.inFlight, 0)
    }

    func testMisuseIsTyped() async throws {
        let gate = Gate(try policy(""))
        func code(_ request: Request) async -> String? {
            do {
                try await gate.run(request) { _ in }
                return nil
            } catch {
                return (error as? InputError)?.code()
            }
        }
        let found = [
            await code(Request("nobody")), await code(Request("m", tokens: -1)),
            await code(Request("m", deadline: .seconds(-1))), await code(Request("m", deadline: .seconds(Int64.max))),
            await code(Request("m", priority: 256)),
        ]
        XCTAssertEqual(found, ["unknown_model"] + Array(repeating: "out_of_range", count: 4))
        await gate.close()
        await gate.close()
        let closed = await code(Request("m"))
        XCTAssertEqual(closed, "closed")
        XCTAssertThrowsError(try policy("\"requests_per_minute\": -1")) { error in
            guard case PolicyError.Faulty(let faults)? = error as? PolicyError else { return XCTFail("\(error)") }
            XCTAssertTrue(faults.contains { $0.pointer == "/pools/p/requests_per_minute" && !$0.code.isEmpty })
        }
        XCTAssertThrowsError(try Gate(try policy(""), restore: "{}")) { XCTAssertTrue($0 is SnapshotError) }
        let engine = Engine(policy: try policy(""), now: .max)
        XCTAssertNoThrow(try engine.handle(now: 0, input: .wake, rng: Rng(seed: 1)))
        XCTAssertThrowsError(try engine.handle(now: 0, input: .report(attempt: 9, outcome: outcomeOf(outcomeClass: .success)), rng: Rng()))
        XCTAssertEqual(version(), "0.1.0")
    }
}
