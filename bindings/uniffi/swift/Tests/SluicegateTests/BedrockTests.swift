import Foundation
import Sluicegate
import XCTest

/// The adapter with URLSession in front of the embedded fake.
final class BedrockTests: XCTestCase {
    /// A model of which the library knows that each output token counts five times.
    private static let whole = "claude-sonnet-4-5"

    /// The four operations, by what each needs to be called and read to its end.
    enum Asked: CaseIterable {
        case converse, invoke, converseStream, invokeStream

        static let streams: [Asked] = [.converseStream, .invokeStream]

        /// Names of the events, or one name for an answer that is whole.
        func call(_ bedrock: Bedrock, _ model: String, each: @Sendable (BedrockEvent) async throws -> Void = { _ in }) async throws -> [String] {
            let read: @Sendable (BedrockEvents) async throws -> [String] = { events in
                var names: [String] = []
                for try await event in events {
                    names.append(event.name)
                    XCTAssertNotNil(try? JSONSerialization.jsonObject(with: event.payload))
                    try await each(event)
                }
                return names
            }
            switch self {
            case .converse: return [String(decoding: try await bedrock.converse(model, asking()), as: UTF8.self)]
            case .invoke: return [String(decoding: try await bedrock.invokeModel(model, invoking), as: UTF8.self)]
            case .converseStream: return try await bedrock.converseStream(model, asking(), read)
            case .invokeStream: return try await bedrock.invokeModelWithResponseStream(model, invoking, read)
            }
        }
    }

    private func assertSettled(_ bedrock: Bedrock, line: UInt = #line) {
        XCTAssertEqual([bedrock.gate.inFlight, bedrock.gate.waiting], [0, 0], line: line)
    }

    func testAnErrorIsThrownAfterOneAttempt() async throws {
        let fake = try Fake()
        for asked in Asked.allCases {
            let before = try await fake.totals("refusing")["attempts"]!
            let bedrock = try await fake.bedrock("refusing", more: "\"retry\": {\"max_attempts\": 1}")
            let error = await thrown { _ = try await asked.call(bedrock, "refusing") }
            XCTAssertEqual((error as? AttemptFailed)?.outcome.outcomeClass, .overloaded, "\(asked): \(error.debugDescription)")
            let after = try await fake.totals("refusing")["attempts"]!
            XCTAssertEqual(after - before, 1)
            assertSettled(bedrock)
        }
    }

    func testWhatOneRegionThrottlesAnotherOneAnswers() async throws {
        let fake = try Fake()
        for asked in Asked.allCases {
            let before = try await fake.totals("throttling")
            let bedrock = try await fake.bedrock("throttling", ["us-east-1", "us-west-2"])
            for _ in 0..<10 {
                let answer = try await asked.call(bedrock, "throttling")
                XCTAssertFalse(answer.isEmpty)
            }
            let after = try await fake.totals("throttling")
            XCTAssertGreaterThan(after["refused_quota"]!, before["refused_quota"]!)
            XCTAssertEqual(after["completed"]!, before["completed"]! + 10)
            assertSettled(bedrock)
        }
    }

    func testAStreamIsHandedOutWholeAndSettledByItsUsage() async throws {
        let fake = try Fake()
        for asked in Asked.streams {
            let before = try await fake.totals(Self.whole)["tokens_settled"]!
            let bedrock = try await fake.bedrock(Self.whole)
            let events = await bedrock.gate.events()
            let names = try await asked.call(bedrock, Self.whole)
            XCTAssertGreaterThan(names.count, 3)
            if asked == .converseStream { XCTAssertEqual([names.first, names.last], ["messageStart", "metadata"]) }
            var settled: [OutcomeClass: UInt64] = [:]
            for await timed in events {
                if case .settled(_, _, _, let outcome, _, let spent, _) = timed.event { settled[outcome] = spent }
                if case .ended = timed.event { break }
            }
            let after = try await fake.totals(Self.whole)["tokens_settled"]!
            XCTAssertEqual(settled, [.success: UInt64(after - before)])
        }
    }

    func testAStreamIsSettledWithItsLastEventAndNotWithItsReader() async throws {
        let bedrock = try await Fake().bedrock(Self.whole)
        let left = try await bedrock.converseStream(Self.whole, asking()) { events in
            for try await _ in events {}
            return bedrock.gate.inFlight
        }
        XCTAssertEqual(left, 0)
    }

    func testWhatIsThrottledInTheStreamBeforeTheAnswerBeginsIsTriedAgainUnnoticed() async throws {
        let fake = try Fake()
        for asked in Asked.streams {
            let before = try await fake.totals("crossing")
            let bedrock = try await fake.bedrock("crossing", ["us-east-1", "us-west-2"])
            for _ in 0..<10 {
                let names = try await asked.call(bedrock, "crossing")
                XCTAssertGreaterThan(names.count, 3)
            }
            let after = try await fake.totals("crossing")
            XCTAssertGreaterThan(after["failed"]!, before["failed"]!)
            XCTAssertEqual(after["completed"]!, before["completed"]! + 10)
            assertSettled(bedrock)
        }
    }

    func testWhatBreaksMidwayIsThrownWhereItBreaksAndNotTriedAgain() async throws {
        let fake = try Fake()
        for asked in Asked.streams {
            let before = try await fake.totals("breaking")["attempts"]!
            let bedrock = try await fake.bedrock("breaking")
            let (seen, came) = AsyncStream.makeStream(of: String.self)
            let error = await thrown { _ = try await asked.call(bedrock, "breaking") { came.yield($0.name) } }
            came.finish()
            let names = await seen.reduce(into: []) { $0.append($1) }
            XCTAssertGreaterThan(names.count, 2)
            let failed = try XCTUnwrap(error as? StreamFailed, "\(error.debugDescription)")
            XCTAssertEqual(failed.code, "modelStreamErrorException")
            XCTAssertEqual(failed.outcome.outcomeClass, .streamBrokenDelivered)
            let after = try await fake.totals("breaking")["attempts"]!
            XCTAssertEqual(after - before, 1)
            assertSettled(bedrock)
        }
    }

    func testWhoeverReadsNoFurtherKeepsWhatWasRead() async throws {
        let bedrock = try await Fake().bedrock(Self.whole)
        let first = try await bedrock.converseStream(Self.whole, asking()) { events in
            try await events.first { _ in true }?.name
        }
        XCTAssertEqual(first, "messageStart")
        struct Mine: Error {}
        let error = await thrown { try await bedrock.converseStream(Self.whole, asking()) { _ in throw Mine() } }
        XCTAssertTrue(error is Mine)
        assertSettled(bedrock)
    }

    func testCancellingInTheMidstOfAStreamSettlesIt() async throws {
        let fake = try Fake()
        for asked in Asked.streams {
            let before = try await fake.totals("slow")["abandoned"]!
            let bedrock = try await fake.bedrock("slow")
            let (begun, begin) = AsyncStream.makeStream(of: Void.self)
            let reading = Task { _ = try await asked.call(bedrock, "slow") { _ in begin.yield() } }
            for await _ in begun { break }
            XCTAssertEqual(bedrock.gate.inFlight, 1)
            reading.cancel()
            let error = await thrown { try await reading.value }
            XCTAssertTrue(error is CancellationError, "\(error.debugDescription)")
            assertSettled(bedrock)
            try await until { try await fake.totals("slow")["abandoned"]! == before + 1 }
        }
    }

    func testAClientWithoutStreamsServesThemWhole() async throws {
        struct Plain: BedrockClient {
            let client: HttpClient
            func send(_ request: BedrockRequest) async throws -> BedrockAnswer { try await client.send(request) }
        }
        let fake = try Fake()
        let gate = Gate(try policy(Self.whole, ["us-east-1"]))
        let bedrock = try await Bedrock(gate: gate, client: Plain(client: fake.client))
        let names = try await Asked.converseStream.call(bedrock, Self.whole)
        XCTAssertEqual(names.last, "metadata")
    }

    func testWhatIsNoStreamOfEventsIsSaid() async throws {
        struct Page: BedrockClient {
            func send(_: BedrockRequest) async throws -> BedrockAnswer {
                BedrockAnswer(status: 200, headers: [], body: Data("<html>a proxy's own page</html>".utf8))
            }
        }
        let gate = Gate(try policy(Self.whole, ["us-east-1"], more: "\"retry\": {\"max_attempts\": 1}"))
        let bedrock = try await Bedrock(gate: gate, client: Page())
        let error = await thrown { _ = try await Asked.converseStream.call(bedrock, Self.whole) }
        let failed = try XCTUnwrap(error as? StreamFailed, "\(error.debugDescription)")
        XCTAssertEqual([failed.code == nil, failed.outcome.outcomeClass == .streamBroken], [true, true])
        assertSettled(bedrock)
    }
}
