/**
 * A client of the REST API of ordersaga, for Node.js 18 and later, and for browsers. It needs nothing but fetch.
 *
 * Every call that changes something has an idempotency key, which is kept when the call is repeated: a repeated call takes effect once. A call is
 * repeated while the service cannot be reached, is overloaded or does not know the result yet.
 */
import type { components } from './openapi.js';

export type { components, operations, paths } from './openapi.js';

type Schemas = components['schemas'];
export type OrderRequest = Schemas['OrderRequest'];
export type Order = Schemas['Order'];
export type Refund = Schemas['Refund'];
export type SagaItem = Schemas['SagaItem'];
export type Saga = Schemas['Saga'];
export type AttentionItem = Schemas['DeskItem'];
export type Event = Schemas['Event'];
export type Stock = Schemas['Stock'];
export type DeadLetter = Schemas['DeadLetter'];
export type DeadLetterItem = Schemas['DeadLetterItem'];
export type DryRun = Schemas['DryRun'];
export type Problem = Schemas['Problem'];
export type Status = Schemas['Status'];

type Operations = import('./openapi.js').operations;
type BodyOf<O extends keyof Operations> = Operations[O] extends { requestBody?: { content: { 'application/json': infer B } } } ? B : never;
type QueryOf<O extends keyof Operations> = Omit<NonNullable<Operations[O]['parameters']['query']>, 'cursor'>;
export type RefundRequest = BodyOf<'refundOrder'>;
export type Resolution = BodyOf<'resolveOrder'>;
export type ReplayRequest = BodyOf<'replayDeadLetter'>;
export type DiscardRequest = BodyOf<'discardDeadLetter'>;
export type SagaRequest = BodyOf<'startSaga'>;
export type OrderFilter = QueryOf<'listOrders'>;
export type SagaFilter = QueryOf<'listSagas'>;
export type DeadLetterFilter = QueryOf<'listDeadLetters'>;

export interface ClientOptions {
  /** The address of the service, such as https://orders.example.com. */
  url: string;
  /** An API key (osk_…). */
  apiKey?: string;
  /** Returns the token for a request, in place of an API key. */
  token?: () => string | Promise<string>;
  /** Default: the global fetch. */
  fetch?: typeof fetch;
  /** For how long a call is repeated, in milliseconds; 0 means never. Default: 60,000. */
  retryTime?: number;
  /** Time limit of one attempt in milliseconds, the time for which the service delays its answer not included. Default: 30,000. */
  attemptTimeout?: number;
}

export interface CallOptions {
  /** The key of the call: the same key with the same content takes effect once. Default: a new one. */
  idempotencyKey?: string;
  correlationId?: string;
  signal?: AbortSignal;
}

/** An error that the service has returned (RFC 9457). */
export class OrdersagaError extends Error {
  override readonly name = 'OrdersagaError';
  constructor(
    readonly status: number,
    /** Undefined if the answer is not of the service, such as one of a proxy. */
    readonly problem: Problem | undefined,
    /** For how long the service asks to wait, in milliseconds. */
    readonly retryAfter: number | undefined,
  ) {
    const fields = (problem?.errors ?? []).map((e) => `; ${e.pointer ?? e.parameter ?? e.header ?? ''}: ${e.detail}`);
    super(problem ? `${problem.title}${problem.detail ? `: ${problem.detail}` : ''}${fields.join('')} (${problem.code})` : `status ${status}`);
  }

  /** A stable code, such as not_found. */
  get code(): string | undefined {
    return this.problem?.code;
  }

  /** Whether the same call, with the same key, may succeed later. The client has repeated it already. */
  get retryable(): boolean {
    return [429, 502, 503, 504].includes(this.status);
  }
}

const firstPause = 100;
const maxPause = 5_000;
const maxWaitSeconds = 60;
/** The longest silence of a stream: the service sends something every 15 s. */
const maxIdle = 60_000;
const terminal: readonly string[] = ['completed', 'rejected', 'cancelled', 'failed'];

/** Whether nothing more happens to an order or another saga by itself. */
export const ended = (o: { status: string }): boolean => terminal.includes(o.status);

interface Call {
  method: 'GET' | 'POST';
  path: string;
  query?: Record<string, unknown>;
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal | undefined;
  waitSeconds?: number;
}

export class Client {
  readonly #options: ClientOptions;
  readonly #url: string;

  constructor(options: ClientOptions) {
    this.#options = options;
    this.#url = options.url.replace(/\/+$/, '');
  }

  /** Places an order and returns it as accepted. */
  placeOrder(order: OrderRequest, options?: CallOptions): Promise<Order> {
    return this.#post('/v1/orders', order, options);
  }

  /** Places an order and waits until it has ended, completed or not. Abort the signal to stop waiting; the saga continues then. */
  placeOrderAndWait(order: OrderRequest, options?: CallOptions): Promise<Order> {
    return this.#wait('/v1/orders', order, options);
  }

  /** Returns an order, now or as it was at a time or after the event of a version. */
  order(id: string, options: { at?: Date; version?: number; signal?: AbortSignal } = {}): Promise<Order> {
    return this.#get(path('orders', id), { at: options.at?.toISOString(), version: options.version?.toString() }, options.signal);
  }

  /** Lists orders, newest first. */
  orders(filter: OrderFilter = {}, signal?: AbortSignal): AsyncGenerator<Order> {
    return this.#list('/v1/orders', filter, signal);
  }

  /** Lists the events of an order so far, oldest first. */
  orderEvents(id: string, signal?: AbortSignal): AsyncGenerator<Event> {
    return this.#list(path('orders', id, 'events'), {}, signal);
  }

  /** Yields the events after a version, those that exist and then each new one, until the order has ended. It connects again after a lost connection. */
  watchOrder(id: string, options: { after?: number; signal?: AbortSignal } = {}): AsyncGenerator<Event> {
    return this.#watch(path('orders', id, 'events'), options);
  }

  /** Requests the cancellation of an order; refused with cancellation_refused after the pivot of its saga. */
  cancelOrder(id: string, reason = '', options?: CallOptions): Promise<Order> {
    return this.#post(path('orders', id, 'cancellation'), { reason }, options);
  }

  /** Records an intervention for an order that needs attention. */
  async resolveOrder(id: string, resolution: Resolution, options?: CallOptions): Promise<Order> {
    return (await this.#post<{ order: Order }>(path('orders', id, 'resolutions'), resolution, options)).order;
  }

  /** Requests a refund and returns it as accepted. */
  refundOrder(id: string, refund: RefundRequest, options?: CallOptions): Promise<Refund> {
    return this.#post(path('orders', id, 'refunds'), refund, options);
  }

  /** Requests a refund and waits until it has ended. */
  refundOrderAndWait(id: string, refund: RefundRequest, options?: CallOptions): Promise<Refund> {
    return this.#wait(path('orders', id, 'refunds'), refund, options);
  }

  refund(orderId: string, refundId: string, signal?: AbortSignal): Promise<Refund> {
    return this.#get(path('orders', orderId, 'refunds', refundId), {}, signal);
  }

  refunds(orderId: string, signal?: AbortSignal): AsyncGenerator<Refund> {
    return this.#list(path('orders', orderId, 'refunds'), {}, signal);
  }

  sagas(filter: SagaFilter = {}, signal?: AbortSignal): AsyncGenerator<SagaItem> {
    return this.#list('/v1/sagas', filter, signal);
  }

  saga(flow: string, id: string, signal?: AbortSignal): Promise<Saga> {
    return this.#get(path('sagas', flow, id), {}, signal);
  }

  startSaga(flow: string, saga: SagaRequest, options?: CallOptions): Promise<Saga> {
    return this.#post(path('sagas', flow), saga, options);
  }

  startSagaAndWait(flow: string, saga: SagaRequest, options?: CallOptions): Promise<Saga> {
    return this.#wait(path('sagas', flow), saga, options);
  }

  sagaEvents(flow: string, id: string, signal?: AbortSignal): AsyncGenerator<Event> {
    return this.#list(path('sagas', flow, id, 'events'), {}, signal);
  }

  watchSaga(flow: string, id: string, options: { after?: number; signal?: AbortSignal } = {}): AsyncGenerator<Event> {
    return this.#watch(path('sagas', flow, id, 'events'), options);
  }

  cancelSaga(flow: string, id: string, reason = '', options?: CallOptions): Promise<Saga> {
    return this.#post(path('sagas', flow, id, 'cancellation'), { reason }, options);
  }

  async resolveSaga(flow: string, id: string, resolution: Resolution, options?: CallOptions): Promise<Saga> {
    return (await this.#post<{ saga: Saga }>(path('sagas', flow, id, 'resolutions'), resolution, options)).saga;
  }

  /** Lists the orders and other sagas that need attention. */
  attention(signal?: AbortSignal): AsyncGenerator<AttentionItem> {
    return this.#list('/v1/attention', {}, signal);
  }

  /** Lists the stock of every SKU. */
  stockList(signal?: AbortSignal): AsyncGenerator<Stock> {
    return this.#list('/v1/stock', {}, signal);
  }

  stock(sku: string, signal?: AbortSignal): Promise<Stock> {
    return this.#get(path('stock', sku), {}, signal);
  }

  receiveStock(sku: string, quantity: number, options?: CallOptions): Promise<Stock> {
    return this.#post(path('stock', sku, 'receipts'), { quantity }, options);
  }

  adjustStock(sku: string, quantity: number, note = '', options?: CallOptions): Promise<Stock> {
    return this.#post(path('stock', sku, 'adjustments'), { quantity, note }, options);
  }

  countStock(sku: string, counted: number, options?: CallOptions): Promise<Stock> {
    return this.#post(path('stock', sku, 'counts'), { counted }, options);
  }

  deadLetters(filter: DeadLetterFilter = {}, signal?: AbortSignal): AsyncGenerator<DeadLetterItem> {
    return this.#list('/v1/dead-letters', filter, signal);
  }

  deadLetter(id: string, signal?: AbortSignal): Promise<DeadLetter> {
    return this.#get(path('dead-letters', id), {}, signal);
  }

  replayDeadLetter(id: string, request: ReplayRequest = {}, options?: CallOptions): Promise<DeadLetter> {
    return this.#post(path('dead-letters', id, 'replay'), request, options);
  }

  /** Returns what a replay would come to, and changes nothing. */
  dryRunDeadLetter(id: string, request: ReplayRequest = {}, options?: CallOptions): Promise<DryRun> {
    return this.#post(path('dead-letters', id, 'replay'), request, options, { query: { dryRun: 'true' } });
  }

  discardDeadLetter(id: string, request: DiscardRequest, options?: CallOptions): Promise<DeadLetter> {
    return this.#post(path('dead-letters', id, 'discard'), request, options);
  }

  async #get<T>(path: string, query: Record<string, unknown>, signal?: AbortSignal): Promise<T> {
    const response = await this.#repeat({ method: 'GET', path, query, signal });
    return response.body as T;
  }

  async #post<T>(path: string, body: unknown, options: CallOptions = {}, more: Partial<Call> = {}): Promise<T> {
    const response = await this.#repeat({ ...posted(path, body, options), ...more });
    return response.body as T;
  }

  /** Repeats a call with its key, which returns the same resource, until that has ended: the service delays its answer. */
  async #wait<T>(path: string, body: unknown, options: CallOptions = {}): Promise<T> {
    const call = { ...posted(path, body, options), waitSeconds: maxWaitSeconds };
    for (;;) {
      const response = await this.#repeat(call);
      if (response.status === 201) return response.body as T;
      await pause(firstPause, options.signal);
    }
  }

  async *#list<T>(path: string, filter: object, signal?: AbortSignal): AsyncGenerator<T> {
    for (let cursor: string | undefined; ; ) {
      const page: { items: T[]; nextCursor: string | null } = await this.#get(path, { ...filter, cursor }, signal);
      yield* page.items;
      if (page.nextCursor === null) return;
      cursor = page.nextCursor;
    }
  }

  /** Sends a call until its answer is final. Every call may be repeated: those that change something have a key. */
  async #repeat(call: Call): Promise<{ status: number; body: unknown }> {
    const until = Date.now() + (this.#options.retryTime ?? 60_000);
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#once(call);
      } catch (error) {
        const delay = delayOf(error, attempt);
        if (call.signal?.aborted || !isRetryable(error) || Date.now() + delay > until) throw error;
        await pause(delay, call.signal);
      }
    }
  }

  async #once(call: Call): Promise<{ status: number; body: unknown }> {
    const limit = (this.#options.attemptTimeout ?? 30_000) + 1000 * (call.waitSeconds ?? 0);
    return withLimit(call.signal, limit, async (signal) => {
      const response = await this.#fetch(call, 'application/json, application/problem+json', signal);
      if (!response.ok) throw await errorOf(response);
      return { status: response.status, body: await response.json() };
    });
  }

  async #fetch(call: Call, accept: string, signal: AbortSignal): Promise<Response> {
    const headers: Record<string, string> = { accept, ...call.headers };
    const { apiKey, token } = this.#options;
    const credentials = token ? await tokenOf(token) : apiKey;
    if (credentials) headers['authorization'] = `Bearer ${credentials}`;
    if (call.body !== undefined) headers['content-type'] = 'application/json';
    if (call.waitSeconds) headers['prefer'] = `wait=${call.waitSeconds}`;
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(call.query ?? {})) {
      for (const one of Array.isArray(value) ? value : [value]) if (one !== undefined) query.append(name, String(one));
    }
    const text = query.toString();
    const send = this.#options.fetch ?? fetch;
    return send(this.#url + call.path + (text && `?${text}`), {
      method: call.method,
      headers,
      signal,
      ...(call.body !== undefined && { body: JSON.stringify(call.body) }),
    });
  }

  async *#watch(path: string, options: { after?: number; signal?: AbortSignal }): AsyncGenerator<Event> {
    let after = options.after ?? 0;
    const retryTime = this.#options.retryTime ?? 60_000;
    let until = Date.now() + retryTime;
    for (let attempt = 0; ; attempt++) {
      let delay = delayOf(undefined, attempt);
      try {
        for await (const event of this.#stream(path, after, options.signal)) {
          if (event === 'opened') {
            until = Date.now() + retryTime;
          } else if (event === 'ended') {
            return;
          } else if (event.version > after) {
            after = event.version;
            attempt = 0;
            yield event;
          }
        }
      } catch (error) {
        delay = delayOf(error, attempt);
        if (options.signal?.aborted || !isRetryable(error) || Date.now() + delay > until) throw error;
      }
      await pause(delay, options.signal);
    }
  }

  /** Reads one connection of an event stream. An event is one line of data; its id is the version in it. */
  async *#stream(path: string, after: number, outer?: AbortSignal): AsyncGenerator<Event | 'opened' | 'ended'> {
    const controller = new AbortController();
    const abort = () => controller.abort(outer?.reason);
    if (outer?.aborted) abort();
    outer?.addEventListener('abort', abort);
    let silence = setTimeout(() => controller.abort(new TimeoutError()), this.#options.attemptTimeout ?? 30_000);
    const heard = () => {
      clearTimeout(silence);
      silence = setTimeout(() => controller.abort(new TimeoutError()), maxIdle);
    };
    try {
      const headers: Record<string, string> = after > 0 ? { 'last-event-id': String(after) } : {};
      const response = await this.#fetch({ method: 'GET', path, headers }, 'text/event-stream', controller.signal);
      if (response.status === 204) return yield 'ended';
      if (!response.ok || !response.body) throw await errorOf(response);
      heard();
      yield 'opened';
      const reader = response.body.getReader();
      const decoder = new TextDecoder();
      for (let rest = ''; ; ) {
        const { done, value } = await reader.read();
        if (done) return;
        heard();
        const lines = (rest + decoder.decode(value, { stream: true })).split(/\r?\n/);
        rest = lines.pop() ?? '';
        for (const line of lines) if (line.startsWith('data:')) yield JSON.parse(line.slice(5)) as Event;
      }
    } finally {
      clearTimeout(silence);
      outer?.removeEventListener('abort', abort);
      controller.abort(); // also when the caller reads no further
    }
  }
}

class TimeoutError extends Error {
  override readonly name = 'TimeoutError';
  constructor() {
    super('no answer in time');
  }
}

/** A failure of ClientOptions.token, which is no reason to repeat a call. */
class TokenError extends Error {
  override readonly name = 'TokenError';
}

async function tokenOf(token: () => string | Promise<string>): Promise<string> {
  try {
    return await token();
  } catch (cause) {
    throw new TokenError('get a token', { cause });
  }
}

function posted(path: string, body: unknown, options: CallOptions): Call {
  const headers: Record<string, string> = { 'idempotency-key': options.idempotencyKey ?? newKey() };
  if (options.correlationId) headers['x-correlation-id'] = options.correlationId;
  return { method: 'POST', path, body, headers, signal: options.signal };
}

/** A key that no other call has. Node.js 18 and pages without https have no randomUUID. */
const newKey = (): string =>
  globalThis.crypto?.randomUUID?.() ?? [Date.now(), ...Array.from({ length: 4 }, Math.random)].map((n) => n.toString(36).replace('0.', '')).join('-');

const path = (...parts: string[]): string => `/v1/${parts.map(encodeURIComponent).join('/')}`;

const isRetryable = (error: unknown): boolean =>
  error instanceof OrdersagaError ? error.retryable : !(error instanceof TokenError || error instanceof SyntaxError);

/** The pause after an attempt: what the service asks for, otherwise a random one that grows. */
function delayOf(error: unknown, attempt: number): number {
  const limit = Math.min(maxPause, firstPause * 2 ** Math.min(attempt, 10));
  const delay = limit / 2 + (Math.random() * limit) / 2;
  return error instanceof OrdersagaError && error.retryAfter ? error.retryAfter + delay / 10 : delay;
}

async function errorOf(response: Response): Promise<OrdersagaError> {
  const isProblem = response.headers.get('content-type')?.startsWith('application/problem+json');
  const problem = isProblem ? ((await response.json()) as Problem) : undefined;
  const seconds = Number(response.headers.get('retry-after') ?? NaN);
  return new OrdersagaError(response.status, problem, Number.isFinite(seconds) ? seconds * 1000 : undefined);
}

function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const abort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', abort);
      resolve();
    }, ms);
    signal?.addEventListener('abort', abort);
  });
}

/** Runs something that is aborted after a time, or by the caller. */
async function withLimit<T>(outer: AbortSignal | undefined, ms: number, run: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const abort = () => controller.abort(outer?.reason);
  if (outer?.aborted) abort();
  outer?.addEventListener('abort', abort);
  const timer = setTimeout(() => controller.abort(new TimeoutError()), ms);
  try {
    return await run(controller.signal);
  } finally {
    clearTimeout(timer);
    outer?.removeEventListener('abort', abort);
  }
}
