package io.github.sluicegate

import java.io.File
import java.security.MessageDigest
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonArray
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonNull
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.JsonPrimitive
import kotlinx.serialization.json.jsonArray
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.BeforeEach
import org.junit.jupiter.api.DynamicTest
import org.junit.jupiter.api.TestFactory

/** Replays every conformance trace through the typed engine; the transcripts are those of every other language. */
class TracesTest {
    private val folder = File(System.getProperty("sluicegate.vectors"))

    @BeforeEach
    fun theLibraryIsTheOneTheseFilesWereGeneratedFrom() = uniffiEnsureInitialized()

    @TestFactory
    fun everyTranscriptIsThatOfEveryLanguage(): List<DynamicTest> {
        val hashes = File(folder, "HASHES").readLines().filter { it.isNotBlank() }.map { it.split(Regex("\\s+")) }
        assertTrue(hashes.size >= 84, "${hashes.size} traces")
        return hashes.map { (hash, name) ->
            DynamicTest.dynamicTest(name) {
                val file = File(folder, if (name.endsWith(".json")) name else "$name.json")
                val text = transcript(Json.parseToJsonElement(file.readText()).jsonObject)
                val digest = MessageDigest.getInstance("SHA-256").digest(text.toByteArray())
                assertEquals(hash, digest.joinToString("") { "%02x".format(it) }, text.take(2_000))
            }
        }
    }

    private fun transcript(trace: JsonObject): String {
        val text = trace["policy_text"]?.jsonPrimitive?.content ?: trace.getValue("policy").toString()
        val policy = try {
            Policy.fromJson(text)
        } catch (error: PolicyException.Faulty) {
            return canonical(obj("faults" to error.faults.map { obj("code" to it.code, "pointer" to it.pointer) })) + "\n"
        }
        return Player(trace, policy).play().joinToString("") { canonical(it) + "\n" }
    }

    private class Player(trace: JsonObject, private var policy: Policy) {
        private val steps = trace["steps"]?.jsonArray.orEmpty().map { it.jsonObject }
        private val rng = Rng.listed(trace["draws"]?.jsonArray.orEmpty().map { it.jsonPrimitive.content.toULong() })
        private var now = steps.firstOrNull()?.get("at")?.jsonPrimitive?.content?.toULongOrNull() ?: 0uL
        private var engine = Engine(policy, now)
        private var saved: String? = null

        fun play(): List<JsonObject> = steps.map { step ->
            val at = step["at"]?.jsonPrimitive
            now = when {
                at == null -> now + step.getValue("after").jsonPrimitive.content.toULong()
                at.content == "wakeup" -> engine.nextWakeup()!!.at
                else -> at.content.toULong()
            }
            val said = LinkedHashMap<String, JsonElement>()
            repeat(step["times"]?.jsonPrimitive?.content?.toInt() ?: 1) { act(step, said) }
            val all = engine.drain(step["take"]?.jsonPrimitive?.content?.toUInt())
            if (all.decisions.isNotEmpty()) said["decisions"] = JsonArray(all.decisions.map(::json))
            if (all.events.isNotEmpty()) said["events"] = JsonArray(all.events.map(::json))
            all.wakeup?.let { said["wakeup"] = json(it) }
            JsonObject(said)
        }

        private fun act(step: JsonObject, said: MutableMap<String, JsonElement>) {
            step["input"]?.let {
                try {
                    engine.handle(now, input(it), rng)
                } catch (error: InputException) {
                    said["error"] = JsonPrimitive(error.code())
                }
            }
            step["reconfigure"]?.let {
                policy = Policy.fromJson(it.toString())
                engine.reconfigure(now, policy)
            }
            step["explain"]?.let {
                said["explanation"] = engine.explain(now, it.jsonPrimitive.content.toULong())?.let(::json) ?: JsonNull
            }
            if ("snapshot" in step) {
                saved = engine.snapshot(now).also { said["saved"] = Json.parseToJsonElement(it) }
            }
            step["restore"]?.jsonObject?.let {
                val asleep = it.getValue("asleep_us").jsonPrimitive.content.toULong()
                try {
                    engine = Engine.restore(policy, it["snapshot"]?.toString() ?: saved!!, now, asleep)
                } catch (error: SnapshotException.Unreadable) {
                    said["error"] = JsonPrimitive(error.code)
                }
            }
        }

        private fun input(input: JsonElement): Input {
            if (input is JsonPrimitive) return Input.Wake
            val (kind, of) = input.jsonObject.entries.single()
            return when (kind) {
                "submit" -> Input.Submit(call(of.jsonObject))
                "report" -> Input.Report(number(of.jsonObject, "attempt")!!, outcome(of.jsonObject.getValue("outcome").jsonObject))
                "cancel" -> Input.Cancel(of.jsonPrimitive.content.toULong())
                else -> error("no input $kind")
            }
        }

        private fun call(of: JsonObject) = Call(
            call = number(of, "id")!!,
            model = number(of, "model")!!.toUShort(),
            tokens = number(of, "tokens")!!,
            deadline = number(of, "deadline"),
            priority = (number(of, "priority") ?: 0uL).toUByte(),
            tenant = (number(of, "tenant") ?: 0uL).toUInt(),
            affinity = number(of, "affinity"),
            cachedTokens = (number(of, "cached_tokens") ?: 0uL).toUInt(),
            maxTokens = number(of, "max_tokens")?.toUInt(),
            label = (number(of, "label") ?: 0uL).toUShort(),
            fingerprint = number(of, "fingerprint"),
            lone = of["lone"]?.jsonPrimitive?.content == "true",
        )

        private fun outcome(of: JsonObject): Outcome {
            val outcomeClass = of.getValue("class")
            val name = if (outcomeClass is JsonObject) "throttled_${outcomeClass.getValue("throttled").jsonPrimitive.content}"
            else outcomeClass.jsonPrimitive.content
            val spent = of.getValue("spent")
            return Outcome(
                outcomeClass = OutcomeClass.valueOf(name.uppercase()),
                spent = when {
                    spent is JsonObject -> Spent.Tokens(number(spent, "tokens")!!)
                    spent.jsonPrimitive.content == "unknown" -> Spent.Unknown
                    spent.jsonPrimitive.content == "nothing" -> Spent.Nothing
                    else -> Spent.NeverSent
                },
                retryAfterUs = number(of, "retry_after_us"),
                outputTokens = number(of, "output_tokens")?.toUInt(),
                truncated = of["truncated"]?.jsonPrimitive?.content == "true",
            )
        }

        private fun number(of: JsonObject, name: String): ULong? = of[name]?.takeIf { it != JsonNull }?.jsonPrimitive?.content?.toULong()
    }
}
