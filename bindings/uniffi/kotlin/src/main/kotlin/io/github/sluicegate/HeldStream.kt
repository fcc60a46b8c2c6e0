package io.github.sluicegate

import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.channels.ReceiveChannel
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.buffer
import kotlinx.coroutines.flow.emptyFlow
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.flow.produceIn
import kotlinx.coroutines.supervisorScope

/** How a stream ended. */
internal sealed interface StreamEnd {
    /** With its last event. */
    data object Read : StreamEnd

    /** Its caller wanted no more of it. */
    data object Dropped : StreamEnd

    /** With an error of its own. */
    class Broken(val error: Throwable) : StreamEnd
}

/**
 * The events of one attempt: held back until one carries part of the answer, then handed on as they come.
 *
 * [settle] is asked for the report once: at the last event, at an error of the stream's own, or when the caller goes.
 */
internal class HeldStream<E : Any>(
    private val watch: StreamWatch,
    private val note: StreamWatch.(E) -> Unit,
    private val settle: (StreamEnd) -> Outcome,
) {
    /** The report, once the stream has ended. */
    var outcome: Outcome? = null
        private set

    /** Hands [stream] to [block]. What fails before part of the answer has come never reaches it. */
    suspend fun <T> pass(stream: Flow<E>?, block: suspend (Flow<E>) -> T): T = supervisorScope {
        // A supervisor, since an error of the stream belongs to whoever asks for the next event.
        val events = (stream ?: emptyFlow()).buffer(Channel.RENDEZVOUS).produceIn(this)
        try {
            val first = ArrayList<E>()
            while (!watch.delivers()) first += next(events) ?: throw NothingCame()
            block(
                flow {
                    first.forEach { emit(it) }
                    while (true) emit(next(events) ?: break)
                },
            )
        } finally {
            events.cancel()
            end(StreamEnd.Dropped)
        }
    }

    /** Null at the end of the stream. */
    private suspend fun next(events: ReceiveChannel<E>): E? {
        val received = events.receiveCatching()
        received.exceptionOrNull()?.let { error ->
            end(StreamEnd.Broken(error))
            throw error
        }
        val event = received.getOrNull()
        if (event == null) end(StreamEnd.Read) else watch.note(event)
        return event
    }

    private fun end(how: StreamEnd) {
        if (outcome == null) outcome = settle(how)
    }
}

/** A stream that ended before any of its answer came. */
private class NothingCame : java.io.IOException("the stream ended before its answer began")
