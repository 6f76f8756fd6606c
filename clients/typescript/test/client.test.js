import assert from 'node:assert/strict';
import { mock, test } from 'node:test';

import { Client, OrdersagaError, ended } from '../dist/index.js';

const json = (status, body, headers = {}) => () => new Response(JSON.stringify(body), { status, headers: { 'content-type': 'application/json', ...headers } });
const problem = (status, code, headers = {}) => json(status, { title: 'No', code, errors: [{ pointer: '/lines/0', detail: 'is missing' }] }, { 'content-type': 'application/problem+json', ...headers });
const order = (status, state) => json(status, { id: 'order-1', status: state });
const stream = (text) => () => new Response(text, { headers: { 'content-type': 'text/event-stream' } });
const unreachable = () => {
  throw new TypeError('fetch failed');
};

/** A client whose requests get these answers, the last one again and again. */
function clientOf(answers, options = {}) {
  const fetch = mock.fn(async () => (answers.length > 1 ? answers.shift() : answers[0])());
  const requests = () => fetch.mock.calls.map((c) => ({ url: c.arguments[0], ...c.arguments[1] }));
  return { client: new Client({ url: 'https://orders.example.com/', apiKey: 'osk_test', fetch, ...options }), requests };
}

const collect = async (items) => {
  const all = [];
  for await (const item of items) all.push(item);
  return all;
};

test('a call is repeated with its key', async () => {
  const { client, requests } = clientOf([unreachable, problem(503, 'unavailable'), order(202, 'accepted')]);
  const placed = await client.placeOrder({ customerId: 'c-1', currency: 'EUR', lines: [] });
  assert.equal(placed.id, 'order-1');
  const sent = requests();
  assert.equal(sent.length, 3);
  assert.equal(new Set(sent.map((r) => r.headers['idempotency-key'])).size, 1);
  assert.equal(sent[0].headers.authorization, 'Bearer osk_test');
  assert.equal(sent[0].url, 'https://orders.example.com/v1/orders');
});

test('a refused call is not repeated', async () => {
  const { client, requests } = clientOf([problem(422, 'invalid')]);
  await assert.rejects(client.placeOrder({}), (error) => {
    assert.ok(error instanceof OrdersagaError);
    assert.deepEqual([error.status, error.code, error.retryable], [422, 'invalid', false]);
    assert.equal(error.message, 'No; /lines/0: is missing (invalid)');
    return true;
  });
  assert.equal(requests().length, 1);
});

test('repetition ends', async () => {
  const { client, requests } = clientOf([problem(503, 'unavailable')], { retryTime: 0 });
  await assert.rejects(client.order('order-1'), (error) => error.retryable);
  assert.equal(requests().length, 1);
  const signal = AbortSignal.timeout(50);
  await assert.rejects(clientOf([unreachable]).client.order('order-1', { signal }));
});

test('waiting goes on until the order has ended', async () => {
  const { client, requests } = clientOf([order(202, 'accepted'), order(201, 'completed')]);
  const placed = await client.placeOrderAndWait({}, { idempotencyKey: 'mine', correlationId: 'checkout-42' });
  assert.ok(ended(placed));
  for (const { headers } of requests()) {
    assert.deepEqual([headers.prefer, headers['idempotency-key'], headers['x-correlation-id']], ['wait=60', 'mine', 'checkout-42']);
  }
});

test('a list is read page by page', async () => {
  const { client, requests } = clientOf([json(200, { items: [1, 2], nextCursor: 'c+1' }), json(200, { items: [3], nextCursor: null })]);
  assert.deepEqual(await collect(client.orders({ status: ['completed', 'failed'] })), [1, 2, 3]);
  assert.deepEqual(requests().map((r) => r.url.split('?')[1]), ['status=completed&status=failed', 'status=completed&status=failed&cursor=c%2B1']);
});

test('a stream continues after its last event', async () => {
  const { client, requests } = clientOf([
    stream('id: 1\ndata: {"version":1}\n\nid: 2\ndata: {"version":2}\n\n: heartbeat\n\n'), unreachable,
    stream('data: {"version":2}\n\ndata: {"version":3}\n\n'), () => new Response(null, { status: 204 }),
  ]);
  assert.deepEqual(await collect(client.watchOrder('a/b')), [{ version: 1 }, { version: 2 }, { version: 3 }]);
  assert.deepEqual(requests().map((r) => r.headers['last-event-id']), [undefined, '2', '2', '3']);
  assert.equal(requests()[0].url, 'https://orders.example.com/v1/orders/a%2Fb/events');
});

test('a stream that the caller leaves is closed', async () => {
  const { client, requests } = clientOf([stream('data: {"version":1}\n\ndata: {"version":2}\n\n')]);
  for await (const event of client.watchOrder('order-1')) {
    assert.equal(event.version, 1);
    break;
  }
  assert.ok(requests()[0].signal.aborted);
});

test('a token is asked for each attempt', async () => {
  const tokens = ['old', 'new'];
  const { client, requests } = clientOf([problem(503, 'unavailable'), order(200, 'completed')], { token: () => tokens.shift() });
  await client.order('order-1');
  assert.equal(requests()[1].headers.authorization, 'Bearer new');
  const broken = clientOf([unreachable], { token: () => Promise.reject(new Error('no provider')) });
  await assert.rejects(broken.client.order('order-1'), /get a token/);
});
