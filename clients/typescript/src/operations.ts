/** The types of each operation, derived from the description of the API. */
import type { components, operations } from './generated/api.js';

/** The schemas of the API by name, for example `Schemas['Call']`. */
export type Schemas = components['schemas'];

/** The operations of an app or a backend. Only Stream calls `webhook`, and probes call `health`. */
export type OperationId = Exclude<keyof operations, 'webhook' | 'health'>;

type Responses<Op extends OperationId> = operations[Op]['responses'];

type JsonOf<Response> = Response extends { content: { 'application/json': infer Body } } ? Body : never;

type ProblemCodeOf<Response> = Response extends {
  content: { 'application/problem+json': { code: infer Code } };
}
  ? Code
  : never;

/** The body of an operation's success. Two success statuses differ in the field `status`. */
export type Success<Op extends OperationId> = Op extends OperationId
  ? { [Status in keyof Responses<Op> & (200 | 202)]: JsonOf<Responses<Op>[Status]> }[keyof Responses<Op> & (200 | 202)]
  : never;

/** The error codes that an operation returns. */
export type ProblemCode<Op extends OperationId> = Op extends OperationId
  ? { [Status in keyof Responses<Op>]: ProblemCodeOf<Responses<Op>[Status]> }[keyof Responses<Op>] &
      Schemas['ErrorCode']
  : never;

/** The query parameters of an operation. */
export type Query<Op extends OperationId> = NonNullable<operations[Op]['parameters']['query']>;

/** The body of `createToken`. The API lists a part of `userData` that it cannot use in `ignored`. */
export type TokenRequest = Omit<Schemas['TokenRequest'], 'userData'> & {
  userData?: Schemas['TokenUserData'];
};
