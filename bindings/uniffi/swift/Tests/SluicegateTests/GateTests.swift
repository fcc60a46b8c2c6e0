import Foundation
import Sluicegate
import XCTest

final class GateTests: XCTestCase {
    private func policy(_ pool: String, _ more: String = "") throws -> Policy {
        try Policy.fromJson(
            text: "{\"pools\": {\"p\": {\(pool)}}, \"endpoints\": {\"e\": {\"model\": \"m\", \"pools\": [\"p\"]}}\(more)}")
    }

    func testCallsComeOneByOneAsThePoolRefills() async throws {
        let clock = ManualClock()
        let gate = Gate(try policy("\"requests_per_minute\": 60"), seed: 7, clock: clock)
        let start = clock.now
        let times = try await clock.jumping(.seconds(10)) {
            try await withThrowingTaskGroup(of: Duration.self) { group in
                for _ in 0..<5 {
                    group.addTask { try await gate.run(Request("m")) { _ in start.duration(to: clock.now) } }
                }
                return try await group.reduce(into: []) { $0.append($1) }.sorted()
            }
        }
        let apart = zip(times, times.dropFirst()).filter { $1 - $0 >= .milliseconds(900) }
        XCTAssertGreaterThanOrEqual(apart.count, 3, "\(times)")
        XCTAssertEqual([gate.inFlight, gate.waiting], [0, 0])
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
        let clock = ManualClock()
        let gate = Gate(try policy(""), clock: clock)
        let start = clock.now
        let answer = try await clock.jumping(.seconds(90)) {
            try await gate.run(Request("m")) { attempt in
                if attempt.number == 1 {
                    throw AttemptFailed(Outcome(outcomeClass: .unavailable, spent: .nothing, retryAfterUs: 60_000_000), "503")
                }
                return attempt.number
            }
        }
        XCTAssertEqual(answer, 2)
        XCTAssertGreaterThanOrEqual(start.duration(to: clock.now), .seconds(60))
        struct Mine: Error {}
        do {
            try await gate.run(Request("m")) { _ in throw Mine() }
            XCTFail("it was answered")
        } catch is Mine {}
    }

    func testACallThatCannotMakeItsDeadlineEndsWithTheReason() async throws {
        let clock = ManualClock()
        let gate = Gate(try policy("\"requests_per_minute\": 1"), clock: clock)
        try await gate.run(Request("m")) { _ in }
        let error = await thrown {
            try await clock.jumping(.seconds(3)) { try await gate.run(Request("m", deadline: .seconds(2))) { _ in } }
        }
        switch (error as? CallEnded)?.reason {
        case .expired, .refused: break
        default: XCTFail("\(error.debugDescription)")
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
        let clock = ManualClock()
        let gate = try Gate(policy, restore: known, clock: clock)
        let (never, _) = AsyncStream.makeStream(of: Void.self)
        let number = try await clock.jumping(.seconds(1)) {
            try await gate.run(Request("m")) { attempt in
                // Only its cancellation ends the first.
                if attempt.number == 1 { for await _ in never {} }
                return attempt.number
            }
        }
        XCTAssertEqual(number, 2)
        XCTAssertEqual(gate.inFlight, 0)
    }
}
