package io.github.sluicegate

import aws.smithy.kotlin.runtime.client.ProtocolRequestInterceptorContext
import aws.smithy.kotlin.runtime.client.ProtocolResponseInterceptorContext
import aws.smithy.kotlin.runtime.http.HttpBody
import aws.smithy.kotlin.runtime.http.interceptors.HttpInterceptor
import aws.smithy.kotlin.runtime.http.request.HttpRequest
import aws.smithy.kotlin.runtime.http.response.HttpResponse
import kotlin.coroutines.AbstractCoroutineContextElement
import kotlin.coroutines.CoroutineContext
import kotlinx.coroutines.currentCoroutineContext
import kotlinx.coroutines.withContext

/** What a call of the SDK that sends nothing has written. */
private class Written : AbstractCoroutineContextElement(Written) {
    var body: ByteArray? = null

    companion object Key : CoroutineContext.Key<Written>
}

/** What came with an answer beside its body. */
internal class Seen : AbstractCoroutineContextElement(Seen) {
    var headers: List<Header> = emptyList()

    companion object Key : CoroutineContext.Key<Seen>
}

private class NotSent : RuntimeException("written, not sent", null, false, false)

/** Ends a call of the SDK once its request is written: before it is signed, and before its retries begin. */
internal object Unsent : HttpInterceptor {
    override suspend fun modifyBeforeRetryLoop(context: ProtocolRequestInterceptorContext<Any, HttpRequest>): HttpRequest {
        val body = context.protocolRequest.body
        currentCoroutineContext()[Written]?.body = (body as? HttpBody.Bytes)?.bytes() ?: ByteArray(0)
        throw NotSent()
    }
}

/** Hands out the headers of an answer. */
internal object SeeHeaders : HttpInterceptor {
    override suspend fun modifyBeforeDeserialization(
        context: ProtocolResponseInterceptorContext<Any, HttpRequest, HttpResponse>,
    ): HttpResponse {
        currentCoroutineContext()[Seen]?.headers =
            context.protocolResponse.headers.entries().flatMap { (name, values) -> values.map { Header(name, it) } }
        return context.protocolResponse
    }
}

/** The body that a call of the SDK writes. What is wrong with its input is thrown as the SDK has it. */
internal suspend fun bodyOf(call: suspend () -> Any?): ByteArray {
    val written = Written()
    val error = withContext(written) { runCatching { call() } }.exceptionOrNull()
    return written.body ?: throw error ?: NotSent()
}
