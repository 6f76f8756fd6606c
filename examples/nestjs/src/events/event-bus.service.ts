import { Injectable, OnModuleDestroy, OnModuleInit, ServiceUnavailableException } from '@nestjs/common';
import { connect, type AmqpConnectionManager, type ChannelWrapper } from 'amqp-connection-manager';
import type { ConfirmChannel, Message } from 'amqplib';

import { AMQP_URL, EXCHANGE } from '../config.js';
import { correlationId } from '../correlation.js';
import { BaseEvent } from './base-event.js';
import type { DomainEvent } from './domain-event.js';

/** How long the broker may take to confirm, reconnects included. */
const CONFIRM_TIMEOUT_MS = 30_000;

/** Publishes this shop's events: persistent, mandatory and confirmed. */
@Injectable()
export class EventBusService implements OnModuleInit, OnModuleDestroy {
  private connection!: AmqpConnectionManager;
  private channel!: ChannelWrapper;
  /** Ids of messages that came back because no queue is bound to their type. */
  private readonly returned = new Set<string>();

  async onModuleInit() {
    this.connection = connect([AMQP_URL]);
    // What is published while the connection is lost is sent when it is back, under the same id.
    this.channel = this.connection.createChannel({
      confirm: true,
      publishTimeout: CONFIRM_TIMEOUT_MS,
      setup: async (channel: ConfirmChannel) => {
        channel.on('return', (message: Message) => this.returned.add(message.properties.messageId));
        await channel.assertExchange(EXCHANGE, 'topic', { durable: true });
      },
    });
    await this.channel.waitForConnect();
  }

  async onModuleDestroy() {
    await this.channel.close();
    await this.connection.close();
  }

  /** Resolves when the event is in a queue; until then it may or may not have arrived: publish it again, id unchanged. */
  async publish(event: DomainEvent | BaseEvent): Promise<void> {
    const type = event instanceof BaseEvent ? event.eventType : event.type;
    const body = event instanceof BaseEvent ? event.serialize() : event;
    await this.channel.publish(EXCHANGE, type, Buffer.from(JSON.stringify(body)), {
      mandatory: true,
      persistent: true,
      contentType: 'application/json',
      messageId: event.id,
      type,
      correlationId: correlationId(),
      appId: 'shop',
    });
    // The broker hands an unroutable message back before it confirms it.
    if (this.returned.delete(event.id)) {
      throw new ServiceUnavailableException(`nothing listens to ${type}`);
    }
  }
}
