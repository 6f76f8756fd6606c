import type { ConsumerDeserializer, IncomingEvent } from '@nestjs/microservices';

/** An event of ordersaga: a CloudEvent 1.0. Of what it carries, a consumer needs this much. */
export interface SagaEvent<T = Record<string, unknown>> {
  specversion: '1.0';
  /** The same however often the event is published. */
  id: string;
  type: string;
  /** The order's id. */
  subject: string;
  time: string;
  /** The event's number in its order's stream, from 1, as a string. */
  sequence: string;
  correlationid?: string;
  data: T;
}

/**
 * Hands events to the @EventPattern of their type.
 *
 * Nest's own deserializer looks for {pattern, data}. It takes any body with a top-level `data` for such a packet, so a
 * CloudEvent would arrive without a pattern, and because it has an `id`, as a request that waits for an answer: no
 * @EventPattern would ever hear it. This one names the pattern, leaves the id inside, and hands the whole event on:
 * a handler needs its subject and sequence, not its data alone.
 */
export class OrdersagaDeserializer implements ConsumerDeserializer {
  deserialize(value: any): IncomingEvent {
    if (value?.pattern !== undefined) {
      return { pattern: value.pattern, data: value.data }; // another Nest service
    }
    return { pattern: value?.type ?? value?.eventType, data: value }; // a CloudEvent, or a plain event
  }
}
