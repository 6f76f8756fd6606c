// Against a running service: ORDERSAGA_URL and ORDERSAGA_API_KEY.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';

import { Client } from '../dist/index.js';

const url = process.env.ORDERSAGA_URL;

test('an order is placed, watched, refunded and listed', { skip: url ? false : 'ORDERSAGA_URL is not set' }, async () => {
  const client = new Client({ url, apiKey: process.env.ORDERSAGA_API_KEY });
  const sku = `sku-${randomUUID()}`;
  assert.equal((await client.receiveStock(sku, 10)).available, 10);
  const request = {
    id: `shop/${randomUUID()}`, customerId: 'c-1', currency: 'EUR', lines: [{ sku, quantity: 2, unitAmount: 450 }], payment: { method: 'tok_visa' },
  };
  const placed = await client.placeOrderAndWait(request, { correlationId: 'checkout-42' });
  assert.deepEqual([placed.id, placed.status, placed.totalAmount, placed.correlationId], [request.id, 'completed', 900, 'checkout-42']);
  assert.deepEqual(await client.placeOrderAndWait(request), placed, 'the same order again');

  const types = [];
  for await (const event of client.watchOrder(request.id)) types.push(event.type);
  assert.deepEqual([types[0], types.at(-1)], ['order.accepted', 'order.completed']);
  const rest = [];
  for await (const event of client.watchOrder(request.id, { after: types.length - 1 })) rest.push(event.version);
  assert.deepEqual(rest, [types.length]);

  const refund = await client.refundOrderAndWait(request.id, { lines: [{ line: 1, quantity: 1 }], restock: true });
  assert.deepEqual([refund.status, refund.amount], ['refunded', 450]);
  assert.equal((await client.order(request.id)).refundedAmount, 450);
  assert.equal((await client.stock(sku)).onHand, 9);
  await assert.rejects(client.cancelOrder(request.id), { name: 'OrdersagaError', code: 'cancellation_refused' });
  await assert.rejects(client.order('unknown'), { status: 404, code: 'not_found' });
  assert.equal((await client.saga('order', request.id)).steps.at(-1).state, 'done');
  const found = [];
  for await (const order of client.orders({ id: request.id })) found.push(order.id);
  assert.deepEqual(found, [request.id]);
});
