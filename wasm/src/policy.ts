/** Policies. */

import * as glue from "./glue/core.js";
import schema from "./glue/schema.js";
import { ArgumentError, PolicyError, type Fault } from "./errors.js";
import { kind } from "./checks.js";
import { ready } from "./module.js";

/** A place where calls can be sent. */
export interface Endpoint {
  /** Its name in the policy. */
  readonly name: string;
  /** The number of the model that callers ask for. */
  readonly model: number;
  /** What is sent in the model's place: an inference profile or an ARN; the model itself unless the policy says so. */
  readonly target: string;
  /** The source Region. */
  readonly region: string;
  /** The geography in which it processes calls. */
  readonly geography: string | null;
}

/** A policy in any form: read already, as JSON text, or as the object that such a text says. */
export type PolicyLike = Policy | string | object;

/** The configuration, read once into a value that cannot be wrong. */
export class Policy {
  /** The models' names, each at the place that is its number. */
  readonly models: readonly string[];
  /** The endpoints, each at the place that is its number. */
  readonly endpoints: readonly Endpoint[];
  /** The pools' names. */
  readonly pools: readonly string[];
  /** The tenants' names. */
  readonly tenants: readonly string[];
  /** @internal */
  readonly raw: glue.Policy;

  private constructor(raw: glue.Policy) {
    const shape = JSON.parse(raw.shape()) as Pick<Policy, "models" | "endpoints" | "pools" | "tenants">;
    this.raw = raw;
    this.models = shape.models;
    this.endpoints = shape.endpoints;
    this.pools = shape.pools;
    this.tenants = shape.tenants;
  }

  /**
   * Reads a JSON text, or the object that such a text says.
   * @throws {PolicyError} with every fault.
   */
  static parse(document: string | object): Policy {
    ready();
    const text = typeof document === "string" ? document : written(document);
    return new Policy(told(() => new glue.Policy(text)));
  }

  /** @internal */
  static of(policy: PolicyLike): Policy {
    return policy instanceof Policy ? policy : Policy.parse(policy);
  }

  /** The number of a tenant: of one that the policy names, or of any other name. */
  tenant(name: string): number {
    return this.raw.tenantNamed(name);
  }
}

function written(document: unknown): string {
  if (typeof document !== "object" || document === null) {
    throw new ArgumentError("wrong_type", "/policy", `a policy is wanted, not ${kind(document)}`);
  }
  try {
    return JSON.stringify(document);
  } catch (error) {
    throw new ArgumentError("wrong_type", "/policy", `this cannot be written as JSON: ${String(error)}`);
  }
}

/** @internal Turns the faults that the module throws into a `PolicyError`. */
export function told<T>(make: () => T): T {
  try {
    return make();
  } catch (error) {
    throw typeof error === "string" ? new PolicyError(JSON.parse(error) as Fault[]) : error;
  }
}

/** The JSON Schema (draft 2020-12) of a policy, with every default. Needs no module; who never asks does not bundle it. */
export function policySchema(): object {
  return JSON.parse(schema) as object;
}
