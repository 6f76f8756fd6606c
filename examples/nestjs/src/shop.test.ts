import 'reflect-metadata';

import assert from 'node:assert/strict';
import { mock, test } from 'node:test';

import { UnprocessableEntityException } from '@nestjs/common';
import type { ClientProxy } from '@nestjs/microservices';
import { of, throwError } from 'rxjs';

import { UserRegisteredEvent } from './events/base-event.js';
import type { DomainEvent } from './events/domain-event.js';
import type { EventBusService } from './events/event-bus.service.js';
import { CancellationsController } from './orders/cancellations.controller.js';
import { OrderBook } from './orders/order-book.js';
import { OrdersController } from './orders/orders.controller.js';
import { OrdersagaDeserializer, type SagaEvent } from './ordersaga.deserializer.js';

const order = {
  customerId: 'customer-7',
  currency: 'EUR',
  lines: [{ sku: 'tea', quantity: 1, unitAmount: 450 }],
  payment: { method: 'tok_visa' },
};

const completed = (sequence: string): SagaEvent => ({
  specversion: '1.0',
  id: `evt-${sequence}`,
  type: 'order.completed',
  subject: 'shop-1001',
  time: '2026-11-21T12:00:00Z',
  sequence,
  data: { outcome: 'completed' },
});

test('placing an order publishes order.created', async () => {
  const publish = mock.fn(async (_: DomainEvent) => {});
  const orders = new OrdersController({ publish } as unknown as EventBusService, new OrderBook());
  const placed = await orders.create(order);
  const event = publish.mock.calls[0].arguments[0];
  assert.equal(event.type, 'order.created');
  assert.equal(event.aggregateId, placed.orderId);
  assert.deepEqual(event.data, { ...order, orderId: placed.orderId });
  assert.notEqual(event.id, event.aggregateId);
});

test('an order whose event was not published is not accepted', async () => {
  const publish = mock.fn(async () => Promise.reject(new Error('no broker')));
  const orders = new OrdersController({ publish } as unknown as EventBusService, new OrderBook());
  await assert.rejects(orders.create(order), /no broker/);
});

test('an event that is serialized twice is one event', () => {
  const event = new UserRegisteredEvent('user-1', 'ada@example.com', 'ada');
  assert.deepEqual(event.serialize(), event.serialize());
  assert.equal(event.serialize().eventType, 'UserRegistered');
});

test('every form of event finds its handler, and none is a request', () => {
  const deserializer = new OrdersagaDeserializer();
  const event = completed('7');
  assert.deepEqual(deserializer.deserialize(event), { pattern: 'order.completed', data: event });
  const plain = { id: '1', eventType: 'UserRegistered', data: {} };
  assert.deepEqual(deserializer.deserialize(plain), { pattern: 'UserRegistered', data: plain });
  assert.deepEqual(deserializer.deserialize({ pattern: 'parcel.sent', data: { id: 1 } }), { pattern: 'parcel.sent', data: { id: 1 } });
  assert.equal(deserializer.deserialize('rubbish').pattern, undefined);
});

test('a duplicate does nothing, and what failed is done again', async () => {
  const book = new OrderBook();
  let done = 0;
  const work = () => void done++;
  await assert.rejects(book.once(completed('7'), () => Promise.reject(new Error('not now'))));
  await book.once(completed('7'), work);
  await book.once(completed('7'), work);
  await book.once(completed('6'), work);
  assert.equal(done, 1);
  assert.equal(book.find('shop-1001')?.duplicates, 2);
});

test('a cancellation is requested, and the reply is the answer', async () => {
  const accepted = { status: 'accepted', type: 'order.cancellation_requested', eventId: '1', subject: 'shop-1001', correlationId: '1' };
  const send = mock.fn((_pattern: string, _data: unknown) => of(accepted));
  const cancellations = new CancellationsController({ send } as unknown as ClientProxy);
  assert.deepEqual(await cancellations.cancel('shop-1001', { reason: 'ordered twice' }), accepted);
  assert.deepEqual(send.mock.calls[0].arguments, ['order.cancellation_requested', { orderId: 'shop-1001', reason: 'ordered twice' }]);
});

test('a cancellation that is refused says why', async () => {
  const refused = { status: 'error', code: 'invalid', message: 'event is invalid' };
  const cancellations = new CancellationsController({ send: () => throwError(() => refused) } as unknown as ClientProxy);
  await assert.rejects(cancellations.cancel('shop 1001'), UnprocessableEntityException);
});
