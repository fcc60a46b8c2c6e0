package io.github.sluicegate

import kotlinx.serialization.json.JsonArray
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonNull
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.JsonPrimitive

internal fun obj(vararg fields: Pair<String, Any?>) = JsonObject(fields.associate { (name, value) -> name to json(value) })

/** With one field, named as the case is. */
internal fun case(name: String, vararg fields: Pair<String, Any?>) = obj(name to obj(*fields))

internal fun json(value: Any?): JsonElement = when (value) {
    null -> JsonNull
    is JsonElement -> value
    is List<*> -> JsonArray(value.map(::json))
    is Boolean -> JsonPrimitive(value)
    is String -> JsonPrimitive(value)
    is ULong -> JsonPrimitive(value)
    is UInt -> JsonPrimitive(value)
    is UShort -> JsonPrimitive(value)
    else -> error("no JSON for $value")
}

/** Without spaces, the keys of objects in the order of their bytes. */
internal fun canonical(value: JsonElement): String = when (value) {
    is JsonObject -> value.keys.sorted().joinToString(",", "{", "}") { "${JsonPrimitive(it)}:${canonical(value.getValue(it))}" }
    is JsonArray -> value.joinToString(",", "[", "]") { canonical(it) }
    else -> value.toString()
}
