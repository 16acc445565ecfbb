// Types of the control API of the local stack, as in tests/local/src/gateway. Not served: only the
// type check reads this file.

export interface StackUser {
  id: string;
  name: string;
  role: string;
  token: string;
  expiresAt: string;
}

export interface Fault {
  id?: string;
  service: string;
  operation: string;
  kind: string;
  times: number | null;
}

export interface StackState {
  startedAt: string;
  now: string;
  clockOffsetSeconds: number;
  isRunning: boolean;
  addresses: { api: string; dynamodb: string | null; stream: string | null };
  streamIsEmulated: boolean;
  apiKey: string;
  users: StackUser[];
  webhooks: { dropAll: boolean };
  faults: Fault[];
  functions: string[];
}

export type RequestKind = 'http' | 'webhook' | 'schedule' | 'tableStream' | 'client';

export interface Step {
  service: 'dynamodb' | 'stream';
  operation: string;
  purpose?: string | null;
  startMs: number;
  durationMs: number;
  status: number | null;
  error?: string | null;
  isFault?: boolean;
}

export interface LogLine {
  level: string;
  message: string;
  subject?: string | null;
  code?: string | null;
  cause?: string | null;
}

export interface StackRequest {
  id: string;
  seq: number;
  at: string;
  kind: RequestKind;
  method: string;
  path: string;
  status: number | null;
  durationMs: number | null;
  function: string | null;
  isColdStart: boolean;
  initMs?: number | null;
  user: string | null;
  caller: string | null;
  callId: string | null;
  error: { code?: string | null; message?: string | null; cause?: string | null } | null;
  decision: string | null;
  steps: Step[];
  logs: LogLine[];
  request: { headers: Record<string, string>; body: string | null };
  response: { headers: Record<string, string>; body: string | null };
  resentFrom?: string | null;
  canResend: boolean;
}

export interface StackCall {
  callId: string;
  channelId: string;
  status: 'creating' | 'active' | 'ending' | 'ended';
  callType?: string;
  creator: string;
  members: string[];
  createdAt: string;
  startedAt?: string | null;
  answeredAt?: string | null;
  endedAt?: string | null;
  endReason?: string | null;
  endedBy?: { kind: string; userId?: string } | null;
  durationSeconds?: number | null;
  talkSeconds?: number | null;
  settled?: boolean;
  due: { at: string; reason: string } | null;
  presence: { user: string; from: string; to?: string | null }[];
  ringing: boolean;
}

export interface Attempt {
  at: string;
  status: number | null;
  durationMs: number | null;
  outcome: 'delivered' | 'failed' | 'dropped' | 'pending';
  nextAt?: string | null;
}

export interface Delivery {
  id: string;
  at: string;
  type: string;
  callId?: string | null;
  attempts: Attempt[];
}

export interface BusEvent {
  at: string;
  type: string;
  callId: string | null;
  detail: unknown;
}

export interface Webhooks {
  deliveries: Delivery[];
  events: BusEvent[];
}

/** A child of an element: a node, a text, or nothing. */
export type Child = Node | string | number | null | undefined | false | Child[];
