package io.github.sluicegate

import java.io.BufferedReader
import java.io.File
import java.net.URI
import java.net.http.HttpClient
import java.net.http.HttpRequest
import java.net.http.HttpResponse
import kotlin.time.Duration.Companion.seconds
import kotlin.time.toJavaDuration
import kotlinx.coroutines.future.await
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.jsonArray
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive

/** The embedded fake in a process of its own, and a client of plain HTTP for it. */
internal class Fake(config: String) : AutoCloseable {
    private val file = File.createTempFile("fake", ".json").apply { writeText(config) }
    private val process = ProcessBuilder(System.getProperty("sluicegate.command"), "serve-fake", "--config", file.path, "--for", "600")
        .redirectError(ProcessBuilder.Redirect.INHERIT).start()
    private val greeting: BufferedReader = process.inputStream.bufferedReader()
    val url: String = generateSequence { greeting.readLine() }.firstNotNullOfOrNull { Regex("http://[0-9.:]+").find(it) }?.value
        ?: error("the fake did not start: is sluicegate.command the command line of this repository?")
    private val http = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build()

    /** Makes one attempt; throws [AttemptFailed] on an error of the service. */
    suspend fun converse(endpoint: Endpoint, body: String): String {
        val answer = http.sendAsync(
            HttpRequest.newBuilder(URI("$url/model/${endpoint.target}/converse"))
                .header("Authorization", "AWS4-HMAC-SHA256 Credential=local/20260101/${endpoint.region}/bedrock/aws4_request, SignedHeaders=host, Signature=0")
                .header("Content-Type", "application/json")
                .timeout(60.seconds.toJavaDuration())
                .POST(HttpRequest.BodyPublishers.ofString(body)).build(),
            HttpResponse.BodyHandlers.ofByteArray(),
        ).await()
        checkAnswer(answer.statusCode(), answer.headers().map(), answer.body())
        return answer.body().decodeToString()
    }

    /** The fake's own books of each lane. */
    fun lanes(): List<Map<String, Long>> {
        val request = HttpRequest.newBuilder(URI("$url/sluicegate/ledger")).build()
        val ledger = Json.parseToJsonElement(http.send(request, HttpResponse.BodyHandlers.ofString()).body()).jsonObject
        return ledger.getValue("lanes").jsonArray.map { lane ->
            lane.jsonObject.getValue("totals").jsonObject.mapValues { (_, value) -> value.jsonPrimitive.content.toLong() }
        }
    }

    /** The sums over all lanes. */
    fun totals(): Map<String, Long> = lanes().reduce { sums, lane -> sums.mapValues { (name, sum) -> sum + lane.getValue(name) } }

    override fun close() {
        process.destroy()
        process.waitFor()
        file.delete()
    }
}
