import Foundation

/// One event of a stream.
public struct BedrockEvent: Sendable {
    /// Its name, such as `contentBlockDelta` or `chunk`.
    public let name: String
    /// What it carries, as JSON; of a chunk of InvokeModelWithResponseStream, the model's own JSON.
    public let payload: Data
}

/// The events of an answer as it comes, to be read once. An error of the service among them is thrown as `StreamFailed`.
public struct BedrockEvents: AsyncSequence, Sendable {
    fileprivate let held: HeldStream

    public struct AsyncIterator: AsyncIteratorProtocol {
        fileprivate let held: HeldStream

        public func next() async throws -> BedrockEvent? { try await held.next() }
    }

    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(held: held) }
}

/// An error of the service within a stream, or a stream that is none.
public struct StreamFailed: Error, CustomStringConvertible {
    /// The service's name for it, such as `throttlingException`; nil where the bytes were no stream of events, or ended
    /// before the answer began.
    public let code: String?
    public let description: String
    /// The report on the attempt.
    public let outcome: Outcome
}

/// The events of one attempt: held back until one carries part of the answer, then handed on as they come.
///
/// Its end is reported once: at the last event, at an error of the stream's own, or when the reader goes.
actor HeldStream {
    private var body: AsyncThrowingStream<Data, any Error>?
    private let watch: StreamWatch
    private let report: @Sendable (Outcome) async -> Void
    private let settle: @Sendable (StreamWatch, _ dropped: Bool) -> Outcome
    private var events: [BedrockEvent] = []
    /// What follows the events, once the stream has ended.
    private var end: (outcome: Outcome, error: (any Error)?)?

    init(
        _ body: AsyncThrowingStream<Data, any Error>, _ operation: Operation,
        report: @escaping @Sendable (Outcome) async -> Void,
        settle: @escaping @Sendable (StreamWatch, _ dropped: Bool) -> Outcome
    ) {
        self.body = body
        self.report = report
        self.settle = settle
        watch = StreamWatch(operation: operation)
    }

    /// Hands the events to `read`. What fails before part of the answer has come never reaches it.
    func pass<T: Sendable>(_ read: @Sendable (BedrockEvents) async throws -> T) async -> Gate.Made<T> {
        let result: Result<T, any Error>
        do {
            while !watch.delivers() {
                guard end == nil else { throw end?.error ?? failed(nil, "the stream ended before its answer began") }
                try await fill()
            }
            result = .success(try await read(BedrockEvents(held: self)))
        } catch {
            result = .failure(error)
        }
        let outcome = await ended(settle(watch, true))
        return Gate.Made(outcome: outcome, result: result, handed: watch.delivers())
    }

    func next() async throws -> BedrockEvent? {
        while events.isEmpty {
            if let end {
                if let error = end.error { throw error }
                return nil
            }
            try await fill()
        }
        return events.removeFirst()
    }

    /// Takes in what comes next.
    private func fill() async throws {
        do {
            var pieces = body?.makeAsyncIterator()
            guard let piece = try await pieces?.next() else {
                // Cancelling the task ends the stream as well; then it is its reader who goes.
                try Task.checkCancellation()
                return _ = await ended(settle(watch, false))
            }
            events += watch.takeBytes(bytes: piece).map { BedrockEvent(name: $0.name, payload: $0.payload) }
            if let fault = watch.error() {
                let error = failed(fault.code, fault.text ?? fault.code ?? "an error within the stream")
                await ended(error.outcome, error)
            }
        } catch let error as CancellationError {
            throw error
        } catch {
            try Task.checkCancellation()
            await ended(outcome(Failure(at: .io, text: String(describing: error), inStream: true, delivered: watch.delivers())), error)
        }
    }

    private func failed(_ code: String?, _ text: String) -> StreamFailed {
        let at: FailedAt = code == nil ? .io : .response
        let failure = Failure(at: at, code: code, text: text, inStream: true, delivered: watch.delivers())
        return StreamFailed(code: code, description: text, outcome: outcome(failure))
    }

    private func outcome(_ failure: Failure) -> Outcome { classify(failure: failure, now: wallClock()) }

    /// The report that was made, which is the first.
    @discardableResult
    private func ended(_ outcome: @autoclosure () -> Outcome, _ error: (any Error)? = nil) async -> Outcome {
        if let end { return end.outcome }
        let reported = outcome()
        end = (reported, error)
        body = nil
        await report(reported)
        return reported
    }
}
