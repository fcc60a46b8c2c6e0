/* @ts-self-types="./core.d.ts" */

/**
 * Estimates what calls will cost and reads what they did cost.
 */
export class Appraiser {
    __destroy_into_raw() {
        const ptr = this.__wbg_ptr;
        this.__wbg_ptr = 0;
        AppraiserFinalization.unregister(this);
        return ptr;
    }
    free() {
        const ptr = this.__destroy_into_raw();
        wasm.__wbg_appraiser_free(ptr, 0);
    }
    /**
     * The report on an answer, as the numbers of an outcome. The headers are names and values in turn.
     * @param {Plan} plan
     * @param {number} endpoint
     * @param {Uint8Array | number[]} body
     * @param {string[]} headers
     * @returns {Float64Array}
     */
    answered(plan, endpoint, body, headers) {
        _assertClass(plan, Plan);
        const val3 = +endpoint;
        let ptr0, len0, ptr1, len1;
        try {
            ptr0 = passArray8ToWasm0(body, wasm.__wbindgen_malloc);
            len0 = WASM_VECTOR_LEN;
            ptr1 = passArrayJsValueToWasm0(headers, wasm.__wbindgen_malloc);
            len1 = WASM_VECTOR_LEN;
        } catch (e) {
            if (ptr1) { wasm.__externref_drop_slice(ptr1, len1); wasm.__wbindgen_free(ptr1, len1 * 4, 4); }
            if (ptr0) { wasm.__wbindgen_free(ptr0, len0 * 1, 1); }
            throw e;
        }
        const ret = wasm.appraiser_answered(this.__wbg_ptr, plan.__wbg_ptr, val3, ptr0, len0, ptr1, len1);
        var v4 = getArrayF64FromWasm0(ret[0], ret[1]).slice();
        wasm.__wbindgen_free(ret[0], ret[1] * 8, 8);
        return v4;
    }
    /**
     * An appraiser for the endpoints of a policy.
     *
     * # Errors
     * All faults of the section `data.bedrock`, as a JSON text.
     * @param {Policy} policy
     */
    constructor(policy) {
        _assertClass(policy, Policy);
        const ret = wasm.appraiser_new(policy.__wbg_ptr);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        this.__wbg_ptr = ret[0];
        AppraiserFinalization.register(this, this.__wbg_ptr, this);
        return this;
    }
    /**
     * Reads a request for a model of the policy; `None` for a model that it does not have. A stream's cap cannot be
     * lowered, and it is never sent twice at once.
     * @param {string} model
     * @param {Uint8Array | number[]} body
     * @param {boolean} converse
     * @param {boolean} stream
     * @param {number} within
     * @param {number} priority
     * @param {number} tenant
     * @param {bigint | null | undefined} affinity
     * @param {number} label
     * @param {boolean} lone
     * @returns {Plan | undefined}
     */
    plan(model, body, converse, stream, within, priority, tenant, affinity, label, lone) {
        const val3 = +converse;
        const val4 = +stream;
        const val5 = +within;
        const val6 = +priority;
        const val7 = +tenant;
        const val8 = BigInt.asIntN(64, (isLikeNone(affinity) ? BigInt(0) : affinity));
        const val9 = +label;
        const val10 = +lone;
        let ptr0, len0, ptr1, len1;
        try {
            ptr0 = passStringToWasm0(model, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
            len0 = WASM_VECTOR_LEN;
            ptr1 = passArray8ToWasm0(body, wasm.__wbindgen_malloc);
            len1 = WASM_VECTOR_LEN;
        } catch (e) {
            if (ptr1) { wasm.__wbindgen_free(ptr1, len1 * 1, 1); }
            if (ptr0) { wasm.__wbindgen_free(ptr0, len0 * 1, 1); }
            throw e;
        }
        const ret = wasm.appraiser_plan(this.__wbg_ptr, ptr0, len0, ptr1, len1, val3, val4, val5, val6, val7, !isLikeNone(affinity), val8, val9, val10);
        return ret === 0 ? undefined : Plan.__wrap(ret);
    }
    /**
     * The same with what it has learned, for another policy.
     *
     * # Errors
     * All faults of the section `data.bedrock`, as a JSON text.
     * @param {Policy} policy
     */
    reconfigure(policy) {
        _assertClass(policy, Policy);
        const ret = wasm.appraiser_reconfigure(this.__wbg_ptr, policy.__wbg_ptr);
        if (ret[1]) {
            throw takeFromExternrefTable0(ret[0]);
        }
    }
    /**
     * The report on a stream that ended, or that its caller dropped before.
     * @param {Plan} plan
     * @param {number} endpoint
     * @param {StreamReader} stream
     * @param {boolean} dropped
     * @returns {Float64Array}
     */
    streamed(plan, endpoint, stream, dropped) {
        _assertClass(plan, Plan);
        _assertClass(stream, StreamReader);
        const ret = wasm.appraiser_streamed(this.__wbg_ptr, plan.__wbg_ptr, endpoint, stream.__wbg_ptr, dropped);
        var v1 = getArrayF64FromWasm0(ret[0], ret[1]).slice();
        wasm.__wbindgen_free(ret[0], ret[1] * 8, 8);
        return v1;
    }
}
if (Symbol.dispose) Appraiser.prototype[Symbol.dispose] = Appraiser.prototype.free;

/**
 * How long to wait before a retry.
 */
export class Backoff {
    __destroy_into_raw() {
        const ptr = this.__wbg_ptr;
        this.__wbg_ptr = 0;
        BackoffFinalization.unregister(this);
        return ptr;
    }
    free() {
        const ptr = this.__destroy_into_raw();
        wasm.__wbg_backoff_free(ptr, 0);
    }
    /**
     * The delay in microseconds before a retry; a hint below zero is none.
     * @param {number} retry
     * @param {number} previous
     * @param {number} hint
     * @param {Random} random
     * @returns {number}
     */
    delay(retry, previous, hint, random) {
        _assertClass(random, Random);
        const ret = wasm.backoff_delay(this.__wbg_ptr, retry, previous, hint, random.__wbg_ptr);
        return ret;
    }
    /**
     * A curve by its number, or one of the ready-made ones from 6 on.
     * @param {number} curve
     * @param {number} base
     * @param {number} cap
     */
    constructor(curve, base, cap) {
        const ret = wasm.backoff_new(curve, base, cap);
        this.__wbg_ptr = ret;
        BackoffFinalization.register(this, this.__wbg_ptr, this);
        return this;
    }
}
if (Symbol.dispose) Backoff.prototype[Symbol.dispose] = Backoff.prototype.free;

/**
 * Shuts out what keeps failing.
 */
export class Breaker {
    __destroy_into_raw() {
        const ptr = this.__wbg_ptr;
        this.__wbg_ptr = 0;
        BreakerFinalization.unregister(this);
        return ptr;
    }
    free() {
        const ptr = this.__destroy_into_raw();
        wasm.__wbg_breaker_free(ptr, 0);
    }
    /**
     * 0 to pass, 1 to pass as a probe, 2 if shut until the time in the slots, 3 if all probes are out. To look only, or to
     * go.
     * @param {number} now
     * @param {boolean} look
     * @returns {number}
     */
    acquire(now, look) {
        const ret = wasm.breaker_acquire(this.__wbg_ptr, now, look);
        return ret >>> 0;
    }
    /**
     * Mode, failure rate, slow rate, what is slow, window in attempts, window in seconds, minimum of attempts, open for, open
     * at most, jitter, probes.
     * @param {Float64Array | number[]} config
     */
    constructor(config) {
        const ptr0 = passArrayF64ToWasm0(config, wasm.__wbindgen_malloc);
        const len0 = WASM_VECTOR_LEN;
        const ret = wasm.breaker_new(ptr0, len0);
        this.__wbg_ptr = ret;
        BreakerFinalization.register(this, this.__wbg_ptr, this);
        return this;
    }
    /**
     * How an attempt ended; answers the new state if it changed, else a negative number.
     * @param {number} now
     * @param {boolean} failed
     * @param {number} took
     * @param {Random} random
     * @returns {number}
     */
    record(now, failed, took, random) {
        _assertClass(random, Random);
        const ret = wasm.breaker_record(this.__wbg_ptr, now, failed, took, random.__wbg_ptr);
        return ret;
    }
    /**
     * An attempt that was let through never went.
     */
    release() {
        wasm.breaker_release(this.__wbg_ptr);
    }
    /**
     * Where the four numbers of an answer stand in memory.
     * @returns {number}
     */
    slots() {
        const ret = wasm.breaker_slots(this.__wbg_ptr);
        return ret >>> 0;
    }
    /**
     * 0 closed, 1 open, 2 half open.
     * @returns {number}
     */
    get state() {
        const ret = wasm.breaker_state(this.__wbg_ptr);
        return ret;
    }
}
if (Symbol.dispose) Breaker.prototype[Symbol.dispose] = Breaker.prototype.free;

/**
 * The desk. A submission answers the call's number, or minus the number of an error.
 */
export class Desk {
    static __wrap(ptr) {
        const obj = Object.create(Desk.prototype);
        obj.__wbg_ptr = ptr;
        DeskFinalization.register(obj, obj.__wbg_ptr, obj);
        return obj;
    }
    __destroy_into_raw() {
        const ptr = this.__wbg_ptr;
        this.__wbg_ptr = 0;
        DeskFinalization.unregister(this);
        return ptr;
    }
    free() {
        const ptr = this.__destroy_into_raw();
        wasm.__wbg_desk_free(ptr, 0);
    }
    /**
     * Lets nothing more in and cancels every call that waits.
     * @param {number} now
     */
    close(now) {
        wasm.desk_close(this.__wbg_ptr, now);
    }
    /**
     * The same as a line to read.
     * @param {number} now
     * @param {number} call
     * @returns {string | undefined}
     */
    describe(now, call) {
        const ret = wasm.desk_describe(this.__wbg_ptr, now, call);
        let v1;
        if (ret[0] !== 0) {
            v1 = getStringFromWasm0(ret[0], ret[1]);
            wasm.__wbindgen_free(ret[0], ret[1] * 1, 1);
        }
        return v1;
    }
    /**
     * Why a call waits or what became of it, as JSON.
     * @param {number} now
     * @param {number} call
     * @returns {string | undefined}
     */
    explain(now, call) {
        const ret = wasm.desk_explain(this.__wbg_ptr, now, call);
        let v1;
        if (ret[0] !== 0) {
            v1 = getStringFromWasm0(ret[0], ret[1]);
            wasm.__wbindgen_free(ret[0], ret[1] * 1, 1);
        }
        return v1;
    }
    /**
     * Attempts that are out.
     * @returns {number}
     */
    get inFlight() {
        const ret = wasm.desk_inFlight(this.__wbg_ptr);
        return ret >>> 0;
    }
    /**
     * The caller goes.
     * @param {number} now
     * @param {number} call
     */
    leave(now, call) {
        wasm.desk_leave(this.__wbg_ptr, now, call);
    }
    /**
     * A desk with full pools.
     * @param {Policy} policy
     * @param {bigint} seed
     * @param {number} now
     */
    constructor(policy, seed, now) {
        _assertClass(policy, Policy);
        const ret = wasm.desk_new(policy.__wbg_ptr, seed, now);
        this.__wbg_ptr = ret;
        DeskFinalization.register(this, this.__wbg_ptr, this);
        return this;
    }
    /**
     * The next event as JSON: its time, then itself.
     * @returns {string | undefined}
     */
    nextEvent() {
        const ret = wasm.desk_nextEvent(this.__wbg_ptr);
        let v1;
        if (ret[0] !== 0) {
            v1 = getStringFromWasm0(ret[0], ret[1]);
            wasm.__wbindgen_free(ret[0], ret[1] * 1, 1);
        }
        return v1;
    }
    /**
     * The next call with a turn to take; negative for none.
     * @returns {number}
     */
    nextNews() {
        const ret = wasm.desk_nextNews(this.__wbg_ptr);
        return ret;
    }
    /**
     * When to wake the desk next; negative for never.
     * @returns {number}
     */
    nextWakeup() {
        const ret = wasm.desk_nextWakeup(this.__wbg_ptr);
        return ret;
    }
    /**
     * Puts another policy in force.
     * @param {number} now
     * @param {Policy} policy
     */
    reconfigure(now, policy) {
        _assertClass(policy, Policy);
        wasm.desk_reconfigure(this.__wbg_ptr, now, policy.__wbg_ptr);
    }
    /**
     * Reports how an attempt ended. Answers 0, or the number of an error.
     * @param {number} now
     * @param {number} call
     * @param {number} attempt
     * @param {number} _class
     * @param {number} cost
     * @param {number} retry_after
     * @param {number} output_tokens
     * @param {boolean} truncated
     * @returns {number}
     */
    report(now, call, attempt, _class, cost, retry_after, output_tokens, truncated) {
        const ret = wasm.desk_report(this.__wbg_ptr, now, call, attempt, _class, cost, retry_after, output_tokens, truncated);
        return ret >>> 0;
    }
    /**
     * A desk that goes on from a snapshot.
     *
     * # Errors
     * The text is no snapshot: the code and the message, with a colon in between.
     * @param {Policy} policy
     * @param {bigint} seed
     * @param {number} now
     * @param {string} snapshot
     * @param {number} asleep
     * @returns {Desk}
     */
    static restore(policy, seed, now, snapshot, asleep) {
        _assertClass(policy, Policy);
        const val2 = BigInt.asIntN(64, seed);
        const val3 = +now;
        const val4 = +asleep;
        const ptr0 = passStringToWasm0(snapshot, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
        const len0 = WASM_VECTOR_LEN;
        const ret = wasm.desk_restore(policy.__wbg_ptr, val2, val3, ptr0, len0, val4);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        return Desk.__wrap(ret[0]);
    }
    /**
     * Where the four numbers of an answer stand in memory.
     * @returns {number}
     */
    slots() {
        const ret = wasm.desk_slots(this.__wbg_ptr);
        return ret >>> 0;
    }
    /**
     * All that was learned and counted, as a text.
     * @param {number} now
     * @returns {string}
     */
    snapshot(now) {
        let deferred1_0;
        let deferred1_1;
        try {
            const ret = wasm.desk_snapshot(this.__wbg_ptr, now);
            deferred1_0 = ret[0];
            deferred1_1 = ret[1];
            return getStringFromWasm0(ret[0], ret[1]);
        } finally {
            wasm.__wbindgen_free(deferred1_0, deferred1_1, 1);
        }
    }
    /**
     * Submits what was planned.
     * @param {number} now
     * @param {Plan} plan
     * @returns {number}
     */
    submitPlan(now, plan) {
        _assertClass(plan, Plan);
        const ret = wasm.desk_submitPlan(this.__wbg_ptr, now, plan.__wbg_ptr);
        return ret;
    }
    /**
     * Submits a call with what is rarely there as well.
     * @param {number} now
     * @param {number} model
     * @param {number} tokens
     * @param {number} within
     * @param {number} priority
     * @param {number} tenant
     * @param {number} max_tokens
     * @param {number} label
     * @param {boolean} lone
     * @param {bigint | null | undefined} affinity
     * @param {number} cached_tokens
     * @param {bigint | null} [fingerprint]
     * @returns {number}
     */
    submitWith(now, model, tokens, within, priority, tenant, max_tokens, label, lone, affinity, cached_tokens, fingerprint) {
        const ret = wasm.desk_submitWith(this.__wbg_ptr, now, model, tokens, within, priority, tenant, max_tokens, label, lone, !isLikeNone(affinity), isLikeNone(affinity) ? BigInt(0) : affinity, cached_tokens, !isLikeNone(fingerprint), isLikeNone(fingerprint) ? BigInt(0) : fingerprint);
        return ret;
    }
    /**
     * Submits a call. What is negative is not there.
     * @param {number} now
     * @param {number} model
     * @param {number} tokens
     * @param {number} within
     * @param {number} priority
     * @param {number} tenant
     * @param {number} max_tokens
     * @param {number} label
     * @param {boolean} lone
     * @returns {number}
     */
    submit(now, model, tokens, within, priority, tenant, max_tokens, label, lone) {
        const ret = wasm.desk_submit(this.__wbg_ptr, now, model, tokens, within, priority, tenant, max_tokens, label, lone);
        return ret;
    }
    /**
     * Takes a call's next turn and answers its kind, 0 while it waits; what it is about stands in the slots.
     * @param {number} call
     * @returns {number}
     */
    turn(call) {
        const ret = wasm.desk_turn(this.__wbg_ptr, call);
        return ret >>> 0;
    }
    /**
     * Calls that wait.
     * @returns {number}
     */
    get waiting() {
        const ret = wasm.desk_waiting(this.__wbg_ptr);
        return ret >>> 0;
    }
    /**
     * The time of the next wake-up has come.
     * @param {number} now
     */
    wake(now) {
        wasm.desk_wake(this.__wbg_ptr, now);
    }
    /**
     * Keeps events from now on, or drops them.
     * @param {boolean} watching
     */
    watch(watching) {
        wasm.desk_watch(this.__wbg_ptr, watching);
    }
}
if (Symbol.dispose) Desk.prototype[Symbol.dispose] = Desk.prototype.free;

/**
 * The engine. Inputs answer 0, or the number of an error.
 */
export class Engine {
    static __wrap(ptr) {
        const obj = Object.create(Engine.prototype);
        obj.__wbg_ptr = ptr;
        EngineFinalization.register(obj, obj.__wbg_ptr, obj);
        return obj;
    }
    __destroy_into_raw() {
        const ptr = this.__wbg_ptr;
        this.__wbg_ptr = 0;
        EngineFinalization.unregister(this);
        return ptr;
    }
    free() {
        const ptr = this.__destroy_into_raw();
        wasm.__wbg_engine_free(ptr, 0);
    }
    /**
     * The caller no longer wants a call.
     * @param {number} now
     * @param {Random} random
     * @param {number} call
     * @returns {number}
     */
    cancel(now, random, call) {
        _assertClass(random, Random);
        const ret = wasm.engine_cancel(this.__wbg_ptr, now, random.__wbg_ptr, call);
        return ret >>> 0;
    }
    /**
     * The call that the last decision is about.
     * @returns {number}
     */
    decidedCall() {
        const ret = wasm.engine_decidedCall(this.__wbg_ptr);
        return ret;
    }
    /**
     * The same as a line to read.
     * @param {number} now
     * @param {number} call
     * @returns {string | undefined}
     */
    describe(now, call) {
        const ret = wasm.engine_describe(this.__wbg_ptr, now, call);
        let v1;
        if (ret[0] !== 0) {
            v1 = getStringFromWasm0(ret[0], ret[1]);
            wasm.__wbindgen_free(ret[0], ret[1] * 1, 1);
        }
        return v1;
    }
    /**
     * Why a call waits or what became of it, as JSON.
     * @param {number} now
     * @param {number} call
     * @returns {string | undefined}
     */
    explain(now, call) {
        const ret = wasm.engine_explain(this.__wbg_ptr, now, call);
        let v1;
        if (ret[0] !== 0) {
            v1 = getStringFromWasm0(ret[0], ret[1]);
            wasm.__wbindgen_free(ret[0], ret[1] * 1, 1);
        }
        return v1;
    }
    /**
     * Attempts that are out.
     * @returns {number}
     */
    get inFlight() {
        const ret = wasm.engine_inFlight(this.__wbg_ptr);
        return ret >>> 0;
    }
    /**
     * The message of an error that an input answered, about this call, attempt or model.
     * @param {number} code
     * @param {number} subject
     * @returns {string}
     */
    static inputError(code, subject) {
        let deferred1_0;
        let deferred1_1;
        try {
            const ret = wasm.engine_inputError(code, subject);
            deferred1_0 = ret[0];
            deferred1_1 = ret[1];
            return getStringFromWasm0(ret[0], ret[1]);
        } finally {
            wasm.__wbindgen_free(deferred1_0, deferred1_1, 1);
        }
    }
    /**
     * An engine with full pools.
     * @param {Policy} policy
     * @param {number} now
     */
    constructor(policy, now) {
        _assertClass(policy, Policy);
        const ret = wasm.engine_new(policy.__wbg_ptr, now);
        this.__wbg_ptr = ret;
        EngineFinalization.register(this, this.__wbg_ptr, this);
        return this;
    }
    /**
     * When to wake the engine next: the time and, as the first slot, the number of the reason. Negative for never.
     * @returns {number}
     */
    nextWakeup() {
        const ret = wasm.engine_nextWakeup(this.__wbg_ptr);
        return ret;
    }
    /**
     * Takes out the next decision and answers its kind; what it is about stands in the slots.
     * @returns {number}
     */
    pollDecision() {
        const ret = wasm.engine_pollDecision(this.__wbg_ptr);
        return ret >>> 0;
    }
    /**
     * Takes out the next event, as JSON.
     * @returns {string | undefined}
     */
    pollEvent() {
        const ret = wasm.engine_pollEvent(this.__wbg_ptr);
        let v1;
        if (ret[0] !== 0) {
            v1 = getStringFromWasm0(ret[0], ret[1]);
            wasm.__wbindgen_free(ret[0], ret[1] * 1, 1);
        }
        return v1;
    }
    /**
     * How much of a pool's limit is used, in thousandths; negative for a pool that does not exist.
     * @param {number} now
     * @param {number} pool
     * @param {number} of
     * @returns {number}
     */
    poolUse(now, pool, of) {
        const ret = wasm.engine_poolUse(this.__wbg_ptr, now, pool, of);
        return ret;
    }
    /**
     * Puts another policy in force.
     * @param {number} now
     * @param {Policy} policy
     */
    reconfigure(now, policy) {
        _assertClass(policy, Policy);
        wasm.engine_reconfigure(this.__wbg_ptr, now, policy.__wbg_ptr);
    }
    /**
     * How an attempt ended.
     * @param {number} now
     * @param {Random} random
     * @param {number} attempt
     * @param {number} _class
     * @param {number} cost
     * @param {number} retry_after
     * @param {number} output_tokens
     * @param {boolean} truncated
     * @returns {number}
     */
    report(now, random, attempt, _class, cost, retry_after, output_tokens, truncated) {
        _assertClass(random, Random);
        const ret = wasm.engine_report(this.__wbg_ptr, now, random.__wbg_ptr, attempt, _class, cost, retry_after, output_tokens, truncated);
        return ret >>> 0;
    }
    /**
     * An engine that goes on from a snapshot.
     *
     * # Errors
     * The text is no snapshot: the code and the message, with a colon in between.
     * @param {Policy} policy
     * @param {string} snapshot
     * @param {number} now
     * @param {number} asleep
     * @returns {Engine}
     */
    static restore(policy, snapshot, now, asleep) {
        _assertClass(policy, Policy);
        const val2 = +now;
        const val3 = +asleep;
        const ptr0 = passStringToWasm0(snapshot, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
        const len0 = WASM_VECTOR_LEN;
        const ret = wasm.engine_restore(policy.__wbg_ptr, ptr0, len0, val2, val3);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        return Engine.__wrap(ret[0]);
    }
    /**
     * Where the four numbers of an answer stand in memory.
     * @returns {number}
     */
    slots() {
        const ret = wasm.engine_slots(this.__wbg_ptr);
        return ret >>> 0;
    }
    /**
     * All that was learned and counted, as a text.
     * @param {number} now
     * @returns {string}
     */
    snapshot(now) {
        let deferred1_0;
        let deferred1_1;
        try {
            const ret = wasm.engine_snapshot(this.__wbg_ptr, now);
            deferred1_0 = ret[0];
            deferred1_1 = ret[1];
            return getStringFromWasm0(ret[0], ret[1]);
        } finally {
            wasm.__wbindgen_free(deferred1_0, deferred1_1, 1);
        }
    }
    /**
     * A new call. Deadline, maximum and label are negative where there is none.
     * @param {number} now
     * @param {Random} random
     * @param {number} id
     * @param {number} model
     * @param {number} tokens
     * @param {number} deadline
     * @param {number} priority
     * @param {number} tenant
     * @param {bigint | null | undefined} affinity
     * @param {number} cached_tokens
     * @param {number} max_tokens
     * @param {number} label
     * @param {bigint | null | undefined} fingerprint
     * @param {boolean} lone
     * @returns {number}
     */
    submit(now, random, id, model, tokens, deadline, priority, tenant, affinity, cached_tokens, max_tokens, label, fingerprint, lone) {
        _assertClass(random, Random);
        const ret = wasm.engine_submit(this.__wbg_ptr, now, random.__wbg_ptr, id, model, tokens, deadline, priority, tenant, !isLikeNone(affinity), isLikeNone(affinity) ? BigInt(0) : affinity, cached_tokens, max_tokens, label, !isLikeNone(fingerprint), isLikeNone(fingerprint) ? BigInt(0) : fingerprint, lone);
        return ret >>> 0;
    }
    /**
     * Calls that wait.
     * @returns {number}
     */
    get waiting() {
        const ret = wasm.engine_waiting(this.__wbg_ptr);
        return ret >>> 0;
    }
    /**
     * The time of the next wake-up has come.
     * @param {number} now
     * @param {Random} random
     * @returns {number}
     */
    wake(now, random) {
        _assertClass(random, Random);
        const ret = wasm.engine_wake(this.__wbg_ptr, now, random.__wbg_ptr);
        return ret >>> 0;
    }
}
if (Symbol.dispose) Engine.prototype[Symbol.dispose] = Engine.prototype.free;

/**
 * Admission under one quota pool.
 */
export class Limiter {
    __destroy_into_raw() {
        const ptr = this.__wbg_ptr;
        this.__wbg_ptr = 0;
        LimiterFinalization.unregister(this);
        return ptr;
    }
    free() {
        const ptr = this.__destroy_into_raw();
        wasm.__wbg_limiter_free(ptr, 0);
    }
    /**
     * 0 if it is granted, 1 if not before a time (and because of which quota), 2 if all are out, 3 if it is larger than a
     * limit; the numbers stand in the slots.
     * @param {number} now
     * @param {number} tokens
     * @returns {number}
     */
    acquire(now, tokens) {
        const ret = wasm.limiter_acquire(this.__wbg_ptr, now, tokens);
        return ret >>> 0;
    }
    /**
     * Permits that are not settled.
     * @returns {number}
     */
    get inFlight() {
        const ret = wasm.limiter_inFlight(this.__wbg_ptr);
        return ret;
    }
    /**
     * The limit in force; negative for none.
     * @param {number} of
     * @returns {number}
     */
    limit(of) {
        const ret = wasm.limiter_limit(this.__wbg_ptr, of);
        return ret;
    }
    /**
     * Requests per minute, tokens per minute, tokens per day, concurrency, burst, margin.
     * @param {Float64Array | number[]} limits
     * @param {number} now
     */
    constructor(limits, now) {
        const val2 = +now;
        const ptr0 = passArrayF64ToWasm0(limits, wasm.__wbindgen_malloc);
        const len0 = WASM_VECTOR_LEN;
        const ret = wasm.limiter_new(ptr0, len0, val2);
        this.__wbg_ptr = ret;
        LimiterFinalization.register(this, this.__wbg_ptr, this);
        return this;
    }
    /**
     * Grants nothing before a time.
     * @param {number} until
     */
    pause(until) {
        wasm.limiter_pause(this.__wbg_ptr, until);
    }
    /**
     * The permit that was granted last; each can be had once.
     * @returns {Permit | undefined}
     */
    permit() {
        const ret = wasm.limiter_permit(this.__wbg_ptr);
        return ret === 0 ? undefined : Permit.__wrap(ret);
    }
    /**
     * Puts other limits in force.
     * @param {Float64Array | number[]} limits
     * @param {number} now
     */
    reconfigure(limits, now) {
        const val2 = +now;
        const ptr0 = passArrayF64ToWasm0(limits, wasm.__wbindgen_malloc);
        const len0 = WASM_VECTOR_LEN;
        wasm.limiter_reconfigure(this.__wbg_ptr, ptr0, len0, val2);
    }
    /**
     * The service refused an attempt, sent at a time: its quota was used up.
     * @param {number} now
     * @param {number} sent
     * @param {number} tokens
     * @param {number} of
     */
    refused(now, sent, tokens, of) {
        wasm.limiter_refused(this.__wbg_ptr, now, sent, tokens, of);
    }
    /**
     * Settles a permit; `false` for one that is settled already.
     * @param {number} now
     * @param {Permit} permit
     * @param {number} cost
     * @returns {boolean}
     */
    settle(now, permit, cost) {
        _assertClass(permit, Permit);
        const ret = wasm.limiter_settle(this.__wbg_ptr, now, permit.__wbg_ptr, cost);
        return ret !== 0;
    }
    /**
     * Where the four numbers of an answer stand in memory.
     * @returns {number}
     */
    slots() {
        const ret = wasm.limiter_slots(this.__wbg_ptr);
        return ret >>> 0;
    }
}
if (Symbol.dispose) Limiter.prototype[Symbol.dispose] = Limiter.prototype.free;

/**
 * A reservation, until it is settled.
 */
export class Permit {
    static __wrap(ptr) {
        const obj = Object.create(Permit.prototype);
        obj.__wbg_ptr = ptr;
        PermitFinalization.register(obj, obj.__wbg_ptr, obj);
        return obj;
    }
    __destroy_into_raw() {
        const ptr = this.__wbg_ptr;
        this.__wbg_ptr = 0;
        PermitFinalization.unregister(this);
        return ptr;
    }
    free() {
        const ptr = this.__destroy_into_raw();
        wasm.__wbg_permit_free(ptr, 0);
    }
}
if (Symbol.dispose) Permit.prototype[Symbol.dispose] = Permit.prototype.free;

/**
 * What is to be submitted for a call, and to be remembered until its answer.
 */
export class Plan {
    static __wrap(ptr) {
        const obj = Object.create(Plan.prototype);
        obj.__wbg_ptr = ptr;
        PlanFinalization.register(obj, obj.__wbg_ptr, obj);
        return obj;
    }
    __destroy_into_raw() {
        const ptr = this.__wbg_ptr;
        this.__wbg_ptr = 0;
        PlanFinalization.unregister(this);
        return ptr;
    }
    free() {
        const ptr = this.__destroy_into_raw();
        wasm.__wbg_plan_free(ptr, 0);
    }
    /**
     * The number of the model in the policy.
     * @returns {number}
     */
    get model() {
        const ret = wasm.plan_model(this.__wbg_ptr);
        return ret;
    }
    /**
     * The tokens that the service will reserve.
     * @returns {number}
     */
    get tokens() {
        const ret = wasm.plan_tokens(this.__wbg_ptr);
        return ret;
    }
}
if (Symbol.dispose) Plan.prototype[Symbol.dispose] = Plan.prototype.free;

/**
 * A policy that was read without a fault.
 */
export class Policy {
    __destroy_into_raw() {
        const ptr = this.__wbg_ptr;
        this.__wbg_ptr = 0;
        PolicyFinalization.unregister(this);
        return ptr;
    }
    free() {
        const ptr = this.__destroy_into_raw();
        wasm.__wbg_policy_free(ptr, 0);
    }
    /**
     * Reads a JSON text.
     *
     * # Errors
     * All faults, as a JSON text.
     * @param {string} text
     */
    constructor(text) {
        const ptr0 = passStringToWasm0(text, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
        const len0 = WASM_VECTOR_LEN;
        const ret = wasm.policy_new(ptr0, len0);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        this.__wbg_ptr = ret[0];
        PolicyFinalization.register(this, this.__wbg_ptr, this);
        return this;
    }
    /**
     * Its names in the order of their numbers, and where its endpoints are, as JSON.
     * @returns {string}
     */
    shape() {
        let deferred1_0;
        let deferred1_1;
        try {
            const ret = wasm.policy_shape(this.__wbg_ptr);
            deferred1_0 = ret[0];
            deferred1_1 = ret[1];
            return getStringFromWasm0(ret[0], ret[1]);
        } finally {
            wasm.__wbindgen_free(deferred1_0, deferred1_1, 1);
        }
    }
    /**
     * The number of the tenant of this name, whether or not the policy names it.
     * @param {string} name
     * @returns {number}
     */
    tenantNamed(name) {
        const ptr0 = passStringToWasm0(name, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
        const len0 = WASM_VECTOR_LEN;
        const ret = wasm.policy_tenantNamed(this.__wbg_ptr, ptr0, len0);
        return ret >>> 0;
    }
}
if (Symbol.dispose) Policy.prototype[Symbol.dispose] = Policy.prototype.free;

/**
 * A generator, or a list of numbers in its place.
 */
export class Random {
    static __wrap(ptr) {
        const obj = Object.create(Random.prototype);
        obj.__wbg_ptr = ptr;
        RandomFinalization.register(obj, obj.__wbg_ptr, obj);
        return obj;
    }
    __destroy_into_raw() {
        const ptr = this.__wbg_ptr;
        this.__wbg_ptr = 0;
        RandomFinalization.unregister(this);
        return ptr;
    }
    free() {
        const ptr = this.__destroy_into_raw();
        wasm.__wbg_random_free(ptr, 0);
    }
    /**
     * These numbers in their order; the last one repeats, and an empty list gives 0.
     * @param {BigUint64Array | bigint[]} draws
     * @returns {Random}
     */
    static listed(draws) {
        const ptr0 = passArray64ToWasm0(draws, wasm.__wbindgen_malloc);
        const len0 = WASM_VECTOR_LEN;
        const ret = wasm.random_listed(ptr0, len0);
        return Random.__wrap(ret);
    }
    /**
     * The generator that gates use, from a seed.
     * @param {bigint} seed
     * @returns {Random}
     */
    static seeded(seed) {
        const ret = wasm.random_seeded(seed);
        return Random.__wrap(ret);
    }
}
if (Symbol.dispose) Random.prototype[Symbol.dispose] = Random.prototype.free;

/**
 * A bound on retries and hedges.
 */
export class RetryBudget {
    __destroy_into_raw() {
        const ptr = this.__wbg_ptr;
        this.__wbg_ptr = 0;
        RetryBudgetFinalization.unregister(this);
        return ptr;
    }
    free() {
        const ptr = this.__destroy_into_raw();
        wasm.__wbg_retrybudget_free(ptr, 0);
    }
    /**
     * What is left, in thousandths of a token.
     * @param {number} now
     * @returns {number}
     */
    left(now) {
        const ret = wasm.retrybudget_left(this.__wbg_ptr, now);
        return ret;
    }
    /**
     * Starts from a ready-made budget (0 the core's own, 1 that of the AWS SDKs); then capacity, cost of a throttled retry, of
     * any other, of a hedge, deposit, refund, inflow per second, floor, whether refused ones are charged.
     * @param {number} ready_made
     * @param {Float64Array | number[]} config
     * @param {number} now
     */
    constructor(ready_made, config, now) {
        const val2 = +ready_made;
        const val3 = +now;
        const ptr0 = passArrayF64ToWasm0(config, wasm.__wbindgen_malloc);
        const len0 = WASM_VECTOR_LEN;
        const ret = wasm.retrybudget_new(val2, ptr0, len0, val3);
        this.__wbg_ptr = ret;
        RetryBudgetFinalization.register(this, this.__wbg_ptr, this);
        return this;
    }
    /**
     * Where the four numbers of an answer stand in memory.
     * @returns {number}
     */
    slots() {
        const ret = wasm.retrybudget_slots(this.__wbg_ptr);
        return ret >>> 0;
    }
    /**
     * A call succeeded, whose last retry was charged so much; negative for one that needed none.
     * @param {number} now
     * @param {number} charged
     */
    success(now, charged) {
        wasm.retrybudget_success(this.__wbg_ptr, now, charged);
    }
    /**
     * What a retry (0 throttled, 1 other, 2 hedge) was charged; negative if it is not allowed, with the time from which it
     * would be in the slots.
     * @param {number} now
     * @param {number} kind
     * @returns {number}
     */
    withdraw(now, kind) {
        const ret = wasm.retrybudget_withdraw(this.__wbg_ptr, now, kind);
        return ret;
    }
}
if (Symbol.dispose) RetryBudget.prototype[Symbol.dispose] = RetryBudget.prototype.free;

/**
 * What is known of a stream so far.
 */
export class StreamReader {
    __destroy_into_raw() {
        const ptr = this.__wbg_ptr;
        this.__wbg_ptr = 0;
        StreamReaderFinalization.unregister(this);
        return ptr;
    }
    free() {
        const ptr = this.__destroy_into_raw();
        wasm.__wbg_streamreader_free(ptr, 0);
    }
    /**
     * What came are no frames.
     * @returns {boolean}
     */
    get broken() {
        const ret = wasm.streamreader_broken(this.__wbg_ptr);
        return ret !== 0;
    }
    /**
     * Takes in bytes of `application/vnd.amazon.eventstream`.
     * @param {Uint8Array | number[]} bytes
     */
    bytes(bytes) {
        const ptr0 = passArray8ToWasm0(bytes, wasm.__wbindgen_malloc);
        const len0 = WASM_VECTOR_LEN;
        wasm.streamreader_bytes(this.__wbg_ptr, ptr0, len0);
    }
    /**
     * Takes in a decoded chunk of InvokeModelWithResponseStream.
     * @param {Uint8Array | number[]} bytes
     */
    chunk(bytes) {
        const ptr0 = passArray8ToWasm0(bytes, wasm.__wbindgen_malloc);
        const len0 = WASM_VECTOR_LEN;
        wasm.streamreader_chunk(this.__wbg_ptr, ptr0, len0);
    }
    /**
     * The answer is complete.
     * @returns {boolean}
     */
    get completes() {
        const ret = wasm.streamreader_completes(this.__wbg_ptr);
        return ret !== 0;
    }
    /**
     * Part of the answer has come.
     * @returns {boolean}
     */
    get delivers() {
        const ret = wasm.streamreader_delivers(this.__wbg_ptr);
        return ret !== 0;
    }
    /**
     * Takes in an event as SDKs hand it out, as JSON.
     * @param {string} text
     */
    event(text) {
        const ptr0 = passStringToWasm0(text, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
        const len0 = WASM_VECTOR_LEN;
        wasm.streamreader_event(this.__wbg_ptr, ptr0, len0);
    }
    /**
     * The outcome by the error that the stream itself told, if it did.
     * @param {boolean} delivered
     * @returns {Float64Array | undefined}
     */
    failed(delivered) {
        const ret = wasm.streamreader_failed(this.__wbg_ptr, delivered);
        let v1;
        if (ret[0] !== 0) {
            v1 = getArrayF64FromWasm0(ret[0], ret[1]).slice();
            wasm.__wbindgen_free(ret[0], ret[1] * 8, 8);
        }
        return v1;
    }
    /**
     * A stream of which nothing has come.
     * @param {boolean} converse
     */
    constructor(converse) {
        const ret = wasm.streamreader_new(converse);
        this.__wbg_ptr = ret;
        StreamReaderFinalization.register(this, this.__wbg_ptr, this);
        return this;
    }
}
if (Symbol.dispose) StreamReader.prototype[Symbol.dispose] = StreamReader.prototype.free;

/**
 * The number of an affinity key, the same in every language.
 * @param {string} key
 * @returns {bigint}
 */
export function affinityOf(key) {
    const ptr0 = passStringToWasm0(key, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
    const len0 = WASM_VECTOR_LEN;
    const ret = wasm.affinityOf(ptr0, len0);
    return BigInt.asUintN(64, ret);
}

/**
 * Why an attempt failed, as JSON: the reason, then the numbers of the outcome. With a body it is an answer over HTTP,
 * whose name and text are read from there.
 * @param {number} kind
 * @param {string | null | undefined} code
 * @param {number | null | undefined} status
 * @param {string | null | undefined} message
 * @param {boolean} in_stream
 * @param {boolean} delivered
 * @param {number | null | undefined} original_status
 * @param {string[]} headers
 * @param {Uint8Array | number[] | null | undefined} body
 * @param {number} unix_seconds
 * @returns {string}
 */
export function classify(kind, code, status, message, in_stream, delivered, original_status, headers, body, unix_seconds) {
    let deferred11_0;
    let deferred11_1;
    try {
        const val5 = +kind;
        const val6 = +(isLikeNone(status) ? 0xFFFFFF : status);
        const val7 = +in_stream;
        const val8 = +delivered;
        const val9 = +(isLikeNone(original_status) ? 0xFFFFFF : original_status);
        const val10 = +unix_seconds;
        let ptr0, len0, ptr1, len1, ptr2, len2, ptr3, len3;
        try {
            ptr0 = isLikeNone(code) ? 0 : passStringToWasm0(code, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
            len0 = WASM_VECTOR_LEN;
            ptr1 = isLikeNone(message) ? 0 : passStringToWasm0(message, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
            len1 = WASM_VECTOR_LEN;
            ptr2 = passArrayJsValueToWasm0(headers, wasm.__wbindgen_malloc);
            len2 = WASM_VECTOR_LEN;
            ptr3 = isLikeNone(body) ? 0 : passArray8ToWasm0(body, wasm.__wbindgen_malloc);
            len3 = WASM_VECTOR_LEN;
        } catch (e) {
            if (ptr3) { wasm.__wbindgen_free(ptr3, len3 * 1, 1); }
            if (ptr2) { wasm.__externref_drop_slice(ptr2, len2); wasm.__wbindgen_free(ptr2, len2 * 4, 4); }
            if (ptr1) { wasm.__wbindgen_free(ptr1, len1 * 1, 1); }
            if (ptr0) { wasm.__wbindgen_free(ptr0, len0 * 1, 1); }
            throw e;
        }
        const ret = wasm.classify(val5, ptr0, len0, val6, ptr1, len1, val7, val8, val9, ptr2, len2, ptr3, len3, val10);
        deferred11_0 = ret[0];
        deferred11_1 = ret[1];
        return getStringFromWasm0(ret[0], ret[1]);
    } finally {
        wasm.__wbindgen_free(deferred11_0, deferred11_1, 1);
    }
}

/**
 * The size of a request: bytes of text, images, pages of documents, other media, and its own maximum (negative for none).
 * @param {Uint8Array | number[]} body
 * @param {boolean} converse
 * @returns {Float64Array}
 */
export function estimate(body, converse) {
    const val2 = +converse;
    const ptr0 = passArray8ToWasm0(body, wasm.__wbindgen_malloc);
    const len0 = WASM_VECTOR_LEN;
    const ret = wasm.estimate(ptr0, len0, val2);
    var v3 = getArrayF64FromWasm0(ret[0], ret[1]).slice();
    wasm.__wbindgen_free(ret[0], ret[1] * 8, 8);
    return v3;
}

/**
 * The number of a label.
 * @param {string} name
 * @returns {number}
 */
export function labelNamed(name) {
    const ptr0 = passStringToWasm0(name, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
    const len0 = WASM_VECTOR_LEN;
    const ret = wasm.labelNamed(ptr0, len0);
    return ret;
}

/**
 * The same request with another cap on its answer, where it has one that can be lowered.
 * @param {Uint8Array | number[]} body
 * @param {boolean} converse
 * @param {number} cap
 * @returns {Uint8Array | undefined}
 */
export function lowerMaxTokens(body, converse, cap) {
    const val2 = +converse;
    const val3 = +cap;
    const ptr0 = passArray8ToWasm0(body, wasm.__wbindgen_malloc);
    const len0 = WASM_VECTOR_LEN;
    const ret = wasm.lowerMaxTokens(ptr0, len0, val2, val3);
    let v4;
    if (ret[0] !== 0) {
        v4 = getArrayU8FromWasm0(ret[0], ret[1]).slice();
        wasm.__wbindgen_free(ret[0], ret[1] * 1, 1);
    }
    return v4;
}

/**
 * The names behind the numbers, as JSON: what the package's own lists are held against.
 * @returns {string}
 */
export function names() {
    let deferred1_0;
    let deferred1_1;
    try {
        const ret = wasm.names();
        deferred1_0 = ret[0];
        deferred1_1 = ret[1];
        return getStringFromWasm0(ret[0], ret[1]);
    } finally {
        wasm.__wbindgen_free(deferred1_0, deferred1_1, 1);
    }
}

/**
 * The JSON Schema of policies, as a text.
 * @returns {string}
 */
export function policySchema() {
    let deferred1_0;
    let deferred1_1;
    try {
        const ret = wasm.policySchema();
        deferred1_0 = ret[0];
        deferred1_1 = ret[1];
        return getStringFromWasm0(ret[0], ret[1]);
    } finally {
        wasm.__wbindgen_free(deferred1_0, deferred1_1, 1);
    }
}

/**
 * The wait that an answer asks for, in microseconds; negative for none.
 * @param {string[]} headers
 * @param {number} unix_seconds
 * @returns {number}
 */
export function retryAfter(headers, unix_seconds) {
    const val2 = +unix_seconds;
    const ptr0 = passArrayJsValueToWasm0(headers, wasm.__wbindgen_malloc);
    const len0 = WASM_VECTOR_LEN;
    const ret = wasm.retryAfter(ptr0, len0, val2);
    return ret;
}
function __wbg_get_imports() {
    const import0 = {
        __proto__: null,
        __wbg___wbindgen_string_get_7ce8eee7fd327545: function(arg0, arg1) {
            const obj = arg1;
            const ret = typeof(obj) === 'string' ? obj : undefined;
            var ptr1 = isLikeNone(ret) ? 0 : passStringToWasm0(ret, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
            var len1 = WASM_VECTOR_LEN;
            getDataViewMemory0().setInt32((arg0 >>> 0) + 4 * 1, len1, true);
            getDataViewMemory0().setInt32((arg0 >>> 0) + 4 * 0, ptr1, true);
        },
        __wbg___wbindgen_throw_4c88d8bf264fd984: function(arg0, arg1) {
            throw new Error(getStringFromWasm0(arg0, arg1));
        },
        __wbindgen_generic_0000000000000001: function(arg0, arg1) {
            // Cast intrinsic for `Ref(String) -> Externref`.
            const ret = getStringFromWasm0(arg0, arg1);
            return ret;
        },
        __wbindgen_init_externref_table: function() {
            const table = wasm.__wbindgen_externrefs;
            table.set(0, undefined);
            table.set(1024, undefined);
            table.set(1025, null);
            table.set(1026, true);
            table.set(1027, false);
        },
    };
    return {
        __proto__: null,
        "./core_bg.js": import0,
    };
}

const AppraiserFinalization = (typeof FinalizationRegistry === 'undefined')
    ? { register: () => {}, unregister: () => {} }
    : new FinalizationRegistry(ptr => wasm.__wbg_appraiser_free(ptr, 1));
const BackoffFinalization = (typeof FinalizationRegistry === 'undefined')
    ? { register: () => {}, unregister: () => {} }
    : new FinalizationRegistry(ptr => wasm.__wbg_backoff_free(ptr, 1));
const BreakerFinalization = (typeof FinalizationRegistry === 'undefined')
    ? { register: () => {}, unregister: () => {} }
    : new FinalizationRegistry(ptr => wasm.__wbg_breaker_free(ptr, 1));
const DeskFinalization = (typeof FinalizationRegistry === 'undefined')
    ? { register: () => {}, unregister: () => {} }
    : new FinalizationRegistry(ptr => wasm.__wbg_desk_free(ptr, 1));
const EngineFinalization = (typeof FinalizationRegistry === 'undefined')
    ? { register: () => {}, unregister: () => {} }
    : new FinalizationRegistry(ptr => wasm.__wbg_engine_free(ptr, 1));
const LimiterFinalization = (typeof FinalizationRegistry === 'undefined')
    ? { register: () => {}, unregister: () => {} }
    : new FinalizationRegistry(ptr => wasm.__wbg_limiter_free(ptr, 1));
const PermitFinalization = (typeof FinalizationRegistry === 'undefined')
    ? { register: () => {}, unregister: () => {} }
    : new FinalizationRegistry(ptr => wasm.__wbg_permit_free(ptr, 1));
const PlanFinalization = (typeof FinalizationRegistry === 'undefined')
    ? { register: () => {}, unregister: () => {} }
    : new FinalizationRegistry(ptr => wasm.__wbg_plan_free(ptr, 1));
const PolicyFinalization = (typeof FinalizationRegistry === 'undefined')
    ? { register: () => {}, unregister: () => {} }
    : new FinalizationRegistry(ptr => wasm.__wbg_policy_free(ptr, 1));
const RandomFinalization = (typeof FinalizationRegistry === 'undefined')
    ? { register: () => {}, unregister: () => {} }
    : new FinalizationRegistry(ptr => wasm.__wbg_random_free(ptr, 1));
const RetryBudgetFinalization = (typeof FinalizationRegistry === 'undefined')
    ? { register: () => {}, unregister: () => {} }
    : new FinalizationRegistry(ptr => wasm.__wbg_retrybudget_free(ptr, 1));
const StreamReaderFinalization = (typeof FinalizationRegistry === 'undefined')
    ? { register: () => {}, unregister: () => {} }
    : new FinalizationRegistry(ptr => wasm.__wbg_streamreader_free(ptr, 1));

function addToExternrefTable0(obj) {
    const idx = wasm.__externref_table_alloc();
    wasm.__wbindgen_externrefs.set(idx, obj);
    return idx;
}

function _assertClass(instance, klass) {
    if (!(instance instanceof klass)) {
        throw new Error(`expected instance of ${klass.name}`);
    }
}

function getArrayF64FromWasm0(ptr, len) {
    ptr = ptr >>> 0;
    return getFloat64ArrayMemory0().subarray(ptr / 8, ptr / 8 + len);
}

function getArrayU8FromWasm0(ptr, len) {
    ptr = ptr >>> 0;
    return getUint8ArrayMemory0().subarray(ptr / 1, ptr / 1 + len);
}

let cachedBigUint64ArrayMemory0 = null;
function getBigUint64ArrayMemory0() {
    if (cachedBigUint64ArrayMemory0 === null || cachedBigUint64ArrayMemory0.byteLength === 0) {
        cachedBigUint64ArrayMemory0 = new BigUint64Array(wasm.memory.buffer);
    }
    return cachedBigUint64ArrayMemory0;
}

let cachedDataViewMemory0 = null;
function getDataViewMemory0() {
    if (cachedDataViewMemory0 === null || cachedDataViewMemory0.buffer.detached === true || (cachedDataViewMemory0.buffer.detached === undefined && cachedDataViewMemory0.buffer !== wasm.memory.buffer)) {
        cachedDataViewMemory0 = new DataView(wasm.memory.buffer);
    }
    return cachedDataViewMemory0;
}

let cachedFloat64ArrayMemory0 = null;
function getFloat64ArrayMemory0() {
    if (cachedFloat64ArrayMemory0 === null || cachedFloat64ArrayMemory0.byteLength === 0) {
        cachedFloat64ArrayMemory0 = new Float64Array(wasm.memory.buffer);
    }
    return cachedFloat64ArrayMemory0;
}

function getStringFromWasm0(ptr, len) {
    ptr = ptr >>> 0;
    return decodeText(getUint8ArrayMemory0().subarray(ptr, ptr + len));
}

let cachedUint8ArrayMemory0 = null;
function getUint8ArrayMemory0() {
    if (cachedUint8ArrayMemory0 === null || cachedUint8ArrayMemory0.byteLength === 0) {
        cachedUint8ArrayMemory0 = new Uint8Array(wasm.memory.buffer);
    }
    return cachedUint8ArrayMemory0;
}

function isLikeNone(x) {
    return x === undefined || x === null;
}

function passArray64ToWasm0(arg, malloc) {
    const ptr = malloc(arg.length * 8, 8) >>> 0;
    getBigUint64ArrayMemory0().set(arg, ptr / 8);
    WASM_VECTOR_LEN = arg.length;
    return ptr;
}

function passArray8ToWasm0(arg, malloc) {
    const ptr = malloc(arg.length * 1, 1) >>> 0;
    getUint8ArrayMemory0().set(arg, ptr / 1);
    WASM_VECTOR_LEN = arg.length;
    return ptr;
}

function passArrayF64ToWasm0(arg, malloc) {
    const ptr = malloc(arg.length * 8, 8) >>> 0;
    getFloat64ArrayMemory0().set(arg, ptr / 8);
    WASM_VECTOR_LEN = arg.length;
    return ptr;
}

function passArrayJsValueToWasm0(array, malloc) {
    const ptr = malloc(array.length * 4, 4) >>> 0;
    for (let i = 0; i < array.length; i++) {
        const add = addToExternrefTable0(array[i]);
        getDataViewMemory0().setUint32(ptr + 4 * i, add, true);
    }
    WASM_VECTOR_LEN = array.length;
    return ptr;
}

function passStringToWasm0(arg, malloc, realloc) {
    if (realloc === undefined) {
        const buf = cachedTextEncoder.encode(arg);
        const ptr = malloc(buf.length, 1) >>> 0;
        getUint8ArrayMemory0().subarray(ptr, ptr + buf.length).set(buf);
        WASM_VECTOR_LEN = buf.length;
        return ptr;
    }

    let len = arg.length;
    let ptr = malloc(len, 1) >>> 0;

    const mem = getUint8ArrayMemory0();

    let offset = 0;

    for (; offset < len; offset++) {
        const code = arg.charCodeAt(offset);
        if (code > 0x7F) break;
        mem[ptr + offset] = code;
    }
    if (offset !== len) {
        if (offset !== 0) {
            arg = arg.slice(offset);
        }
        ptr = realloc(ptr, len, len = offset + arg.length * 3, 1) >>> 0;
        const view = getUint8ArrayMemory0().subarray(ptr + offset, ptr + len);
        const ret = cachedTextEncoder.encodeInto(arg, view);

        offset += ret.written;
        ptr = realloc(ptr, len, offset, 1) >>> 0;
    }

    WASM_VECTOR_LEN = offset;
    return ptr;
}

function takeFromExternrefTable0(idx) {
    const value = wasm.__wbindgen_externrefs.get(idx);
    wasm.__externref_table_dealloc(idx);
    return value;
}

let cachedTextDecoder = new TextDecoder('utf-8', { ignoreBOM: true });
cachedTextDecoder.decode();
const MAX_SAFARI_DECODE_BYTES = 2146435072;
let numBytesDecoded = 0;
function decodeText(bytes) {
    numBytesDecoded += bytes.length;
    if (numBytesDecoded >= MAX_SAFARI_DECODE_BYTES) {
        cachedTextDecoder = new TextDecoder('utf-8', { ignoreBOM: true });
        cachedTextDecoder.decode();
        numBytesDecoded = bytes.length;
    }
    return cachedTextDecoder.decode(bytes);
}

const cachedTextEncoder = new TextEncoder();

if (!('encodeInto' in cachedTextEncoder)) {
    cachedTextEncoder.encodeInto = function (arg, view) {
        const buf = cachedTextEncoder.encode(arg);
        view.set(buf);
        return {
            read: arg.length,
            written: buf.length
        };
    };
}

let WASM_VECTOR_LEN = 0;

let wasmModule, wasmInstance, wasm;
function __wbg_finalize_init(instance, module) {
    wasmInstance = instance;
    wasm = instance.exports;
    wasmModule = module;
    cachedBigUint64ArrayMemory0 = null;
    cachedDataViewMemory0 = null;
    cachedFloat64ArrayMemory0 = null;
    cachedUint8ArrayMemory0 = null;
    wasm.__wbindgen_start();
    return wasm;
}

async function __wbg_load(module, imports) {
    if (typeof Response === 'function' && module instanceof Response) {
        if (!module.ok) {
            throw new Error(`failed to fetch Wasm: ${module.status} ${module.statusText} fetching '${module.url}'`);
        }

        if (typeof WebAssembly.instantiateStreaming === 'function') {
            try {
                return await WebAssembly.instantiateStreaming(module, imports);
            } catch (e) {
                const validResponse = expectedResponseType(module.type);

                if (validResponse && module.headers.get('Content-Type') !== 'application/wasm') {
                    console.warn("`WebAssembly.instantiateStreaming` failed because your server does not serve Wasm with `application/wasm` MIME type. Falling back to `WebAssembly.instantiate` which is slower. Original error:\n", e);

                } else { throw e; }
            }
        }

        const bytes = await module.arrayBuffer();
        return await WebAssembly.instantiate(bytes, imports);
    } else {
        const instance = await WebAssembly.instantiate(module, imports);

        if (instance instanceof WebAssembly.Instance) {
            return { instance, module };
        } else {
            return instance;
        }
    }

    function expectedResponseType(type) {
        switch (type) {
            case 'basic': case 'cors': case 'default': return true;
        }
        return false;
    }
}

function initSync(module) {
    if (wasm !== undefined) return wasm;


    if (module !== undefined) {
        if (Object.getPrototypeOf(module) === Object.prototype) {
            ({module} = module)
        } else {
            console.warn('using deprecated parameters for `initSync()`; pass a single object instead')
        }
    }

    const imports = __wbg_get_imports();
    if (!(module instanceof WebAssembly.Module)) {
        module = new WebAssembly.Module(module);
    }
    const instance = new WebAssembly.Instance(module, imports);
    return __wbg_finalize_init(instance, module);
}

let __wbg_init_promise;
export { initSync };
