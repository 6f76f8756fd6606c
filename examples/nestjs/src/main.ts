import 'reflect-metadata';

import { NestFactory } from '@nestjs/core';
import { MicroserviceOptions, Transport } from '@nestjs/microservices';

import { AppModule } from './app.module.js';
import { AMQP_URL, EXCHANGE, PORT, QUEUE } from './config.js';
import { OrdersagaDeserializer } from './ordersaga.deserializer.js';

const app = await NestFactory.create(AppModule);
app.connectMicroservice<MicroserviceOptions>({
  transport: Transport.RMQ,
  options: {
    urls: [AMQP_URL],
    queue: QUEUE,
    // Durable and replicated. What fails 20 times is dropped; name an x-dead-letter-exchange to keep it.
    queueOptions: { durable: true, arguments: { 'x-queue-type': 'quorum', 'x-delivery-limit': 20 } },
    // wildcards binds the queue to the exchange by the pattern of each handler.
    wildcards: true,
    exchange: EXCHANGE,
    exchangeType: 'topic',
    // Nest acknowledges before it handles unless it is told otherwise.
    noAck: false,
    // One at a time keeps the order of each subject.
    prefetchCount: 1,
    deserializer: new OrdersagaDeserializer(),
  },
});
app.enableShutdownHooks();
// The queue stands before the first order can be placed: no event of it is missed.
await app.startAllMicroservices();
await app.listen(PORT, '127.0.0.1');
console.log(`the shop listens on ${await app.getUrl()}`);
