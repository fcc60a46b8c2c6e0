import Foundation

/// One attempt over HTTP: what an adapter hands to the client at hand, which signs it and sends it to the Region.
public struct BedrockRequest: Sendable {
    /// Where to send it.
    public let endpoint: Endpoint
    /// The path, such as `/model/ID/converse`.
    public let path: String
    /// The body, as JSON.
    public let body: Data
}

/// An answer of HTTP, be it an error.
public struct BedrockAnswer: Sendable {
    public let status: Int
    public let headers: [Header]
    public let body: Data

    public init(status: Int, headers: [Header], body: Data) {
        self.status = status
        self.headers = headers
        self.body = body
    }
}

/// An answer of HTTP whose body comes in pieces, be it an error.
public struct BedrockStreamedAnswer: Sendable {
    public let status: Int
    public let headers: [Header]
    public let body: AsyncThrowingStream<Data, any Error>

    public init(status: Int, headers: [Header], body: AsyncThrowingStream<Data, any Error>) {
        self.status = status
        self.headers = headers
        self.body = body
    }
}

/// What sends one attempt: URLSession, the AWS SDK for Swift with its own retries off, or any other client.
///
/// It throws where there was no answer; an error of the service is an answer with a status of 400 or more.
public protocol BedrockClient: Sendable {
    func send(_ request: BedrockRequest) async throws -> BedrockAnswer

    /// Sends it and hands the answer's body over as it comes, cut anywhere. When nobody reads on, the connection is to end.
    ///
    /// Without this, `send` serves: the answer is whole before any of it is handed out.
    func stream(_ request: BedrockRequest) async throws -> BedrockStreamedAnswer
}

extension BedrockClient {
    public func stream(_ request: BedrockRequest) async throws -> BedrockStreamedAnswer {
        let answer = try await send(request)
        let (body, continuation) = AsyncThrowingStream.makeStream(of: Data.self)
        continuation.yield(answer.body)
        continuation.finish()
        return BedrockStreamedAnswer(status: answer.status, headers: answer.headers, body: body)
    }
}

/// Bedrock with a gate in front. What a call will cost is estimated from its body and learned from its answers.
public struct Bedrock: Sendable {
    public let gate: Gate
    private let appraiser: Appraiser
    private let client: any BedrockClient

    public init(gate: Gate, client: any BedrockClient) async throws {
        self.gate = gate
        self.client = client
        appraiser = try Appraiser(policy: await gate.policy)
    }

    /// Puts another policy in force at the gate, without losing a call or what the answers have taught.
    public func reconfigure(_ policy: Policy) async throws {
        try appraiser.reconfigure(policy: policy)
        await gate.reconfigure(policy)
    }

    /// Converse: takes and gives JSON as it goes over the wire. `model` is the policy's name for it.
    public func converse(_ model: String, _ body: Data, options: CallOptions = CallOptions()) async throws -> Data {
        try await call(model, .converse, "converse", body, options)
    }

    /// InvokeModel: takes and gives the model's own JSON. `model` is the policy's name for it.
    public func invokeModel(_ model: String, _ body: Data, options: CallOptions = CallOptions()) async throws -> Data {
        try await call(model, .invokeModel, "invoke", body, options)
    }

    /// ConverseStream: `read` is handed the events, and what it returns is returned.
    ///
    /// It is called once, with the first part of the answer: up to then an attempt can be repeated unnoticed, and from then on
    /// none is. The call is settled with the last event, or when `read` is done.
    public func converseStream<T: Sendable>(
        _ model: String, _ body: Data, options: CallOptions = CallOptions(),
        _ read: @Sendable (BedrockEvents) async throws -> T
    ) async throws -> T {
        try await streamed(model, .converse, "converse-stream", body, options, read)
    }

    /// InvokeModelWithResponseStream: as `converseStream`; each event carries a piece of the model's own JSON.
    public func invokeModelWithResponseStream<T: Sendable>(
        _ model: String, _ body: Data, options: CallOptions = CallOptions(),
        _ read: @Sendable (BedrockEvents) async throws -> T
    ) async throws -> T {
        try await streamed(model, .invokeModel, "invoke-with-response-stream", body, options, read)
    }

    private func call(
        _ model: String, _ operation: Operation, _ verb: String, _ body: Data, _ options: CallOptions
    ) async throws -> Data {
        let plan = try appraiser.plan(model: model, operation: operation, body: body, options: options, stream: false)
        return try await gate.run(plan: plan) { attempt in
            do {
                let cut = attempt.maxTokens.flatMap { lowered(operation: operation, body: body, cap: $0) }
                let answer = try await client.send(BedrockRequest(attempt.endpoint, verb, cut ?? body))
                try checkAnswer(status: answer.status, headers: answer.headers, body: answer.body)
                let outcome = appraiser.answered(
                    plan: plan, endpoint: attempt.endpointId, body: answer.body, headers: answer.headers)
                return Gate.Made(outcome: outcome, result: .success(answer.body))
            } catch {
                return Gate.Made(outcome: outcomeOf(error), result: .failure(error))
            }
        }
    }

    private func streamed<T: Sendable>(
        _ model: String, _ operation: Operation, _ verb: String, _ body: Data, _ options: CallOptions,
        _ read: @Sendable (BedrockEvents) async throws -> T
    ) async throws -> T {
        let plan = try appraiser.plan(model: model, operation: operation, body: body, options: options, stream: true)
        return try await gate.stream(plan: plan) { attempt, report in
            do {
                let answer = try await client.stream(BedrockRequest(attempt.endpoint, verb, body))
                if answer.status >= 400 {
                    var whole = Data()
                    for try await piece in answer.body { whole += piece }
                    try checkAnswer(status: answer.status, headers: answer.headers, body: whole)
                }
                let held = HeldStream(answer.body, operation, report: report) { watch, dropped in
                    appraiser.streamed(plan: plan, endpoint: attempt.endpointId, watch: watch, dropped: dropped)
                }
                return await held.pass(read)
            } catch {
                return Gate.Made(outcome: outcomeOf(error), result: .failure(error))
            }
        }
    }
}

extension BedrockRequest {
    fileprivate init(_ endpoint: Endpoint, _ verb: String, _ body: Data) {
        let target = endpoint.target.addingPercentEncoding(withAllowedCharacters: .alphanumerics)
        self.init(endpoint: endpoint, path: "/model/\(target ?? endpoint.target)/\(verb)", body: body)
    }
}
