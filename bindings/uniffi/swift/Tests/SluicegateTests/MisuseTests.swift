import Foundation
import Sluicegate
import XCTest

/// What cannot be is said in a typed error, whoever asks, and never ends the host.
final class MisuseTests: XCTestCase {
    private let day: UInt64 = 86_400_000_000

    private func policy(_ pool: String = "") throws -> Policy {
        try Policy.fromJson(text: "{\"pools\": {\"p\": {\(pool)}}, \"endpoints\": {\"e\": {\"model\": \"m\", \"pools\": [\"p\"]}}}")
    }

    private func code(_ act: () async throws -> Void) async -> String? {
        (await thrown(act) as? InputError)?.code()
    }

    func testEveryFaultOfAPolicyHasACodeAndAPointer() throws {
        let text = #"{"pools": {"p": {"requests_per_minute": -1}}, "endpoints": {"e": {"model": "m", "pools": ["q"]}}, "more": 1}"#
        XCTAssertThrowsError(try Policy.fromJson(text: text)) { error in
            guard case PolicyError.Faulty(let faults)? = error as? PolicyError else { return XCTFail("\(error)") }
            let pointers = Set(faults.map(\.pointer))
            XCTAssertTrue(pointers.isSuperset(of: ["/pools/p/requests_per_minute", "/endpoints/e/pools/0", "/more"]), "\(faults)")
            XCTAssertTrue(faults.allSatisfy { !$0.code.isEmpty && !$0.message.isEmpty })
        }
        for text in ["", "{", "[]", "null", "\u{0}", #"{"pools": 1e999}"#, String(repeating: "[", count: 100_000)] {
            XCTAssertThrowsError(try Policy.fromJson(text: text)) { XCTAssertTrue($0 is PolicyError, "\($0)") }
            XCTAssertThrowsError(try Gate(try policy(), restore: text)) { XCTAssertTrue($0 is SnapshotError, "\($0)") }
        }
        XCTAssertThrowsError(try Limiter(section: #"{"requests_per_minute": 0}"#, now: day)) { error in
            guard case PolicyError.Faulty(let faults)? = error as? PolicyError else { return XCTFail("\(error)") }
            XCTAssertEqual(faults.map(\.pointer), ["/requests_per_minute"])
        }
    }

    func testARequestThatCannotBeIsRefused() async throws {
        let gate = Gate(try policy())
        let wrong = [
            Request("m", tokens: -1), Request("m", deadline: .seconds(-1)), Request("m", deadline: .microseconds(-1)),
            Request("m", deadline: .seconds(Int64.max)), Request("m", priority: 256), Request("m", priority: -1),
            Request("m", maxTokens: -1),
        ]
        for request in wrong {
            let found = await code { try await gate.run(request) { _ in } }
            XCTAssertEqual(found, "out_of_range", "\(request)")
        }
        let unknown = await code { try await gate.run(Request("nobody")) { _ in } }
        XCTAssertEqual(unknown, "unknown_model")
        XCTAssertThrowsError(try Gate(try policy(), restore: gate.snapshot(), asleep: .seconds(-1))) { error in
            XCTAssertEqual((error as? InputError)?.code(), "out_of_range")
        }
    }

    func testWhatIsClosedLetsNobodyInAndWhatIsOutGoesOn() async throws {
        let gate = Gate(try policy("\"concurrency\": 1"))
        let (release, open) = AsyncStream.makeStream(of: Void.self)
        let out = Task { try await gate.run(Request("m")) { _ in for await _ in release {} } }
        await until { gate.inFlight == 1 }
        let waits = Task { try await gate.run(Request("m")) { _ in } }
        await until { gate.waiting == 1 }
        await gate.close()
        await gate.close()
        let ended = await thrown { try await waits.value }
        XCTAssertEqual((ended as? CallEnded)?.reason, .cancelled)
        let closed = await code { try await gate.run(Request("m")) { _ in } }
        XCTAssertEqual(closed, "closed")
        open.finish()
        try await out.value
        XCTAssertEqual([gate.inFlight, gate.waiting], [0, 0])
    }

    func testAnAttemptIsReportedOnceAndAPermitSettledOnce() async throws {
        let done = outcomeOf(outcomeClass: .success)
        let desk = Desk(policy: try policy(), now: day, seed: 1)
        let call = try desk.submitTokens(now: day, model: 0, tokens: 1)
        guard case .send(let attempt)? = desk.turn(call: call) else { return XCTFail("it would have to wait") }
        var found = [await code { try desk.report(now: day, call: call, attempt: attempt.id + 1, outcome: done) }]
        try desk.report(now: day, call: call, attempt: attempt.id, outcome: done)
        found.append(await code { try desk.report(now: day, call: call, attempt: attempt.id, outcome: done) })
        found.append(await code { try desk.report(now: day, call: 99, attempt: 0, outcome: done) })
        found.append(await code { _ = try desk.submitTokens(now: day, model: 9, tokens: 1) })
        XCTAssertEqual(found, ["unknown_attempt", "unknown_attempt", "unknown_call", "unknown_model"])

        let (engine, rng) = (Engine(policy: try policy(), now: day), Rng(seed: 1))
        let submit = Input.submit(call: Call(call: 1, model: 0, tokens: 1))
        try engine.handle(now: day, input: submit, rng: rng)
        found = [await code { try engine.handle(now: day, input: submit, rng: rng) }]
        found.append(await code { try engine.handle(now: 0, input: .report(attempt: 9, outcome: done), rng: rng) })
        XCTAssertEqual(found, ["duplicate_call", "unknown_attempt"])
        // Time that goes back, and the last one there is.
        for now in [0, UInt64.max, 1] { try engine.handle(now: now, input: .wake, rng: rng) }

        let limiter = try Limiter(section: #"{"requests_per_minute": 60}"#, now: day)
        guard case .granted(let permit) = limiter.acquire(now: day, tokens: 10) else { return XCTFail("no room") }
        try limiter.settle(now: day, permit: permit, spent: .tokens(tokens: 9))
        let again = await code { try limiter.settle(now: day, permit: permit, spent: .neverSent) }
        XCTAssertEqual(again, "permit_settled")
    }

    func testHandlesServeManyThreads() async throws {
        let (day, desk, engine, rng) = (day, Desk(policy: try policy(), now: day, seed: 1), Engine(policy: try policy(), now: day), Rng(seed: 1))
        DispatchQueue.concurrentPerform(iterations: 2_000) { round in
            let now = day + UInt64(round)
            if let call = try? desk.submitTokens(now: now, model: 0, tokens: 1) {
                if case .send(let attempt)? = desk.turn(call: call) {
                    try? desk.reportSuccess(now: now, call: call, attempt: attempt.id, tokens: 1)
                }
                desk.leave(now: now, call: call)
            }
            _ = desk.news()
            try? engine.handle(now: now, input: .submit(call: Call(call: UInt64(round), model: 0, tokens: 1)), rng: rng)
            _ = engine.pollDecision()
        }
        XCTAssertEqual([desk.waiting(), desk.inFlight()], [0, 0])
        XCTAssertEqual(engine.waiting() + engine.inFlight(), 2_000)
    }
}
