import { randomUUID } from 'node:crypto';

/** The class-based kind of event, named in CamelCase. ordersaga reads this one too. */
export abstract class BaseEvent {
  public readonly id = randomUUID();
  public readonly occurredAt = new Date();

  constructor(
    public readonly aggregateId: string,
    public readonly eventType: string,
  ) {}

  abstract serialize(): Record<string, unknown>;
}

export class UserRegisteredEvent extends BaseEvent {
  constructor(
    aggregateId: string,
    public readonly email: string,
    public readonly username: string,
  ) {
    super(aggregateId, 'UserRegistered');
  }

  serialize() {
    return {
      id: this.id,
      aggregateId: this.aggregateId,
      eventType: this.eventType,
      occurredAt: this.occurredAt,
      data: { email: this.email, username: this.username },
    };
  }
}
