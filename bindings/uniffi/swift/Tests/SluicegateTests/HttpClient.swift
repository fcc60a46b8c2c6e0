import Foundation
import Sluicegate

#if canImport(FoundationNetworking)
import FoundationNetworking
#endif

/// URLSession in front of a service: an example of a `BedrockClient`, answers as they come included.
///
/// Only the scope of its signature is read by the fake; for the service a client signs each request.
struct HttpClient: BedrockClient {
    let url: String

    func send(_ request: BedrockRequest) async throws -> BedrockAnswer {
        let answer = try await stream(request)
        var body = Data()
        for try await piece in answer.body { body += piece }
        try Task.checkCancellation()
        return BedrockAnswer(status: answer.status, headers: answer.headers, body: body)
    }

    func stream(_ request: BedrockRequest) async throws -> BedrockStreamedAnswer {
        var made = URLRequest(url: URL(string: url + request.path)!)
        made.httpMethod = "POST"
        made.httpBody = request.body
        made.timeoutInterval = 60
        made.setValue("application/json", forHTTPHeaderField: "Content-Type")
        made.setValue(
            "AWS4-HMAC-SHA256 Credential=local/20260101/\(request.endpoint.region)/bedrock/aws4_request, "
                + "SignedHeaders=host, Signature=0", forHTTPHeaderField: "Authorization")
        let task = session.dataTask(with: made)
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { pieces.begin(task, $0) }
        } onCancel: {
            task.cancel()
        }
    }
}

private let pieces = Pieces()
private let session: URLSession = {
    let settings = URLSessionConfiguration.ephemeral
    settings.httpMaximumConnectionsPerHost = 256
    return URLSession(configuration: settings, delegate: pieces, delegateQueue: nil)
}()

/// Hands on what a session receives, task by task.
private final class Pieces: NSObject, URLSessionDataDelegate, @unchecked Sendable {
    private struct Exchange {
        var head: CheckedContinuation<BedrockStreamedAnswer, any Error>?
        let stream: AsyncThrowingStream<Data, any Error>
        let body: AsyncThrowingStream<Data, any Error>.Continuation
    }

    private let lock = NSLock()
    private var exchanges: [Int: Exchange] = [:]

    func begin(_ task: URLSessionDataTask, _ head: CheckedContinuation<BedrockStreamedAnswer, any Error>) {
        let (stream, body) = AsyncThrowingStream.makeStream(of: Data.self)
        body.onTermination = { ended in if case .cancelled = ended { task.cancel() } }
        lock.withLock { exchanges[task.taskIdentifier] = Exchange(head: head, stream: stream, body: body) }
        task.resume()
    }

    func urlSession(
        _: URLSession, dataTask: URLSessionDataTask, didReceive response: URLResponse,
        completionHandler: @escaping @Sendable (URLSession.ResponseDisposition) -> Void
    ) {
        let http = response as? HTTPURLResponse
        let headers = (http?.allHeaderFields ?? [:]).compactMap { name, value in
            (name as? String).flatMap { name in (value as? String).map { Header(name: name, value: $0) } }
        }
        let (head, stream) = lock.withLock {
            let head = exchanges[dataTask.taskIdentifier]?.head
            exchanges[dataTask.taskIdentifier]?.head = nil
            return (head, exchanges[dataTask.taskIdentifier]?.stream)
        }
        if let stream {
            head?.resume(returning: BedrockStreamedAnswer(status: http?.statusCode ?? 0, headers: headers, body: stream))
        }
        completionHandler(.allow)
    }

    func urlSession(_: URLSession, dataTask: URLSessionDataTask, didReceive data: Data) {
        _ = lock.withLock { exchanges[dataTask.taskIdentifier]?.body }?.yield(data)
    }

    func urlSession(_: URLSession, task: URLSessionTask, didCompleteWithError error: (any Error)?) {
        let exchange = lock.withLock { exchanges.removeValue(forKey: task.taskIdentifier) }
        if let head = exchange?.head {
            head.resume(throwing: error ?? URLError(.badServerResponse))
        }
        exchange?.body.finish(throwing: error)
    }
}
